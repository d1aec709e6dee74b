"""An intent that cannot be read: the operation of its place says why, and its id stays free."""

import pytest

from busbar.kernel.ids import operation_id, record_operation
from busbar.messages import topics
from busbar.messages.delivery import DeadLettered
from busbar.runtime.core.bus import Record
from busbar.runtime.store import Store
from support.runtime import SOURCE, Toy, record


def spoiled(offset: int, *, id_: str | None = None, key: str | None = None) -> Record:
    """An intent like that of ``record``, whose data are not JSON."""
    return record(offset, id_=id_, key=key)._replace(value=b"{")


def refusals(dead: list[DeadLettered]) -> list[tuple[object, ...]]:
    return [
        (one.operation, one.refused, one.reason, one.intent.id if one.intent else None)
        for one in dead
    ]


async def test_an_intent_that_cannot_be_read_is_refused_under_the_operation_of_its_place(
    toy: Toy,
) -> None:
    await toy.engine.handle_batch([spoiled(0)])
    operation = record_operation(spoiled(0).topic, 0, 0)
    assert operation != operation_id(SOURCE, "intent-0")
    (dead,) = await toy.dead()
    assert refusals([dead]) == [(operation, True, "bad_json", "intent-0")]
    assert (dead.topic, dead.partition, dead.offset) == (spoiled(0).topic, 0, 0)
    assert dead.sealed
    (event,) = [one for one in await toy.store.events() if one.type == DeadLettered.TYPE]
    assert event.correlation == str(operation)


async def test_its_fact_is_identified_by_its_place_so_that_each_record_has_one(toy: Toy) -> None:
    await toy.engine.handle_batch([spoiled(0, id_="same"), spoiled(1, id_="same")])
    dead = await toy.dead()
    assert len({one.dead_letter for one in dead}) == 2
    assert [one.operation for one in dead] == [
        record_operation(spoiled(0).topic, 0, offset) for offset in (0, 1)
    ]
    assert {one.intent.id for one in dead if one.intent} == {"same"}


@pytest.mark.parametrize("size", [1, 2])
async def test_a_readable_intent_with_the_same_source_and_id_is_handled_all_the_same(
    toy: Toy, size: int
) -> None:
    records = [spoiled(0, id_="same"), record(1, id_="same")]
    for start in range(0, len(records), size):
        await toy.engine.handle_batch(records[start : start + size])
    assert toy.handled == ["s1"]
    assert await toy.done() == [1]


async def test_a_broken_record_changes_nothing_for_an_intent_that_was_handled_before(
    toy: Toy,
) -> None:
    await toy.engine.handle_batch([record(0, id_="same")])
    await toy.engine.handle_batch([spoiled(1, id_="same"), record(2, id_="same")])
    assert await toy.done() == [0]
    assert len(await toy.dead()) == 1


async def test_it_does_not_wait_behind_a_parked_record_of_its_key(toy: Toy) -> None:
    toy.broken["s0"] = ArithmeticError("no")
    await toy.engine.handle_batch([record(0, key="k"), spoiled(1, key="k"), record(2, key="k")])
    dead = await toy.dead()
    assert [(one.offset, one.reason, one.refused) for one in dead] == [
        (0, "handler_failed", False),
        (1, "bad_json", True),
        (2, "parked", False),
    ]
    assert [one.ordering_key for one in dead] == ["k", None, "k"]


async def test_without_a_source_or_an_id_it_has_an_operation_too(toy: Toy) -> None:
    bare = spoiled(0)
    headers = [pair for pair in bare.headers if pair[0] != "ce_id"]
    await toy.engine.handle_batch([bare._replace(headers=headers)])
    operation = record_operation(bare.topic, 0, 0)
    assert refusals(await toy.dead()) == [(operation, True, "bad_json", None)]


async def test_a_fact_that_cannot_be_read_parks_its_key_and_refuses_no_operation(
    toy: Toy, store: Store
) -> None:
    await toy.engine.handle_batch([spoiled(0)._replace(topic=topics.FACTS_POLICY)])
    (dead,) = await toy.dead()
    assert (dead.operation, dead.refused, dead.intent) == (None, False, None)
    assert dead.ordering_key is not None
    assert await store.last_position() > 0
