"""The consume engine: effects exactly once, in order, together with the offsets."""

from typing import Any

import pytest
from sqlalchemy.exc import DataError, IntegrityError

from busbar.kernel.errors import Conflict
from busbar.messages.delivery import DeadLettered
from busbar.messages.envelope import Envelope, Unreadable
from busbar.messages.notification import ApplySubscription, DeleteSubscription
from busbar.runtime.consume.engine import Engine
from busbar.runtime.consume.service import ConflictingEvent, InvalidEvent, Service
from busbar.runtime.core.bus import Record
from busbar.runtime.store import Cause, Store, StoreTransaction, StoreUnavailable, Transaction
from busbar.testing import ManualClock
from support.metrics import counting
from support.runtime import (
    SOURCE,
    Toy,
    append,
    fact,
    facts_of,
    intent,
    record,
    unreadable,
)

TOPIC = DeleteSubscription.TOPIC


class Killed(BaseException):
    """The death of the process."""


def unreachable() -> StoreUnavailable:
    return StoreUnavailable("disk I/O error")


async def test_records_are_handled_in_order_and_their_offsets_are_stored(toy: Toy) -> None:
    await toy.engine.handle_batch([record(offset) for offset in range(5)])
    await toy.engine.handle_batch([record(offset) for offset in range(5, 8)])
    assert await toy.done() == list(range(8))
    assert await toy.offsets() == {(TOPIC, 0): 8}
    assert toy.engine.stalled is None


async def test_partitions_have_offsets_of_their_own(toy: Toy) -> None:
    batch = [
        record(7, id_="a"),
        record(2, id_="b", partition=4),
        record(8, id_="c"),
    ]
    await toy.engine.handle_batch(batch)
    assert await toy.offsets() == {(TOPIC, 0): 9, (TOPIC, 4): 3}


async def test_delivering_the_same_records_again_changes_nothing(toy: Toy) -> None:
    records = [record(offset) for offset in range(4)]
    await toy.engine.handle_batch(records)
    before = await toy.effects()
    await toy.engine.handle_batch(records)
    await toy.restarted().handle_batch(records)  # it has not asked for its offsets
    assert await toy.effects() == before
    assert toy.handled == ["s0", "s1", "s2", "s3"]


async def test_an_overlapping_batch_is_handled_from_where_the_store_is(toy: Toy) -> None:
    await toy.engine.handle_batch([record(offset) for offset in range(4)])
    await toy.restarted().handle_batch([record(offset) for offset in range(2, 6)])
    assert await toy.done() == [0, 1, 2, 3, 4, 5]


async def test_an_event_that_comes_again_under_another_offset_changes_nothing(toy: Toy) -> None:
    await toy.engine.handle_batch([record(0, intent(1), id_="x")])
    await toy.engine.handle_batch([record(1, intent(1), id_="x")])
    assert await toy.done() == [1]
    assert await toy.offsets() == {(TOPIC, 0): 2}


async def test_an_event_that_comes_twice_in_one_batch_is_handled_once(toy: Toy) -> None:
    await toy.engine.handle_batch(
        [record(0, intent(1), id_="x"), record(1), record(2, intent(1), id_="x")]
    )
    assert toy.handled == ["s1", "s1"]  # the intents x and intent-1
    assert await toy.offsets() == {(TOPIC, 0): 3}


@pytest.mark.parametrize("point", ["flush", "advance", "handler"])
async def test_a_crash_before_the_commit_leaves_neither_offsets_nor_effects(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    async def dies(*_args: Any, **_more: Any) -> None:
        raise Killed

    records = [record(offset) for offset in range(3)]
    with monkeypatch.context() as patch:
        if point == "handler":
            toy.failing["s2"] = [Killed()]
        elif point == "flush":
            patch.setattr(StoreTransaction, "flush", dies)
        else:
            patch.setattr("busbar.runtime.store.parts.inbox.Inbox.advance", dies)
        with pytest.raises(Killed):
            await toy.engine.handle_batch(records)
    assert set((await toy.effects()).values()) == {0}
    engine = toy.restarted()
    assert await engine.positions([(TOPIC, 0)]) == {}
    await engine.handle_batch(records)
    assert await toy.done() == [0, 1, 2]
    assert await toy.offsets() == {(TOPIC, 0): 3}


async def test_positions_are_what_the_store_says_and_nothing_for_what_was_never_read(
    toy: Toy,
) -> None:
    await toy.engine.handle_batch([record(41), record(5, id_="y", partition=1)])
    engine = toy.restarted()
    assert await engine.positions([(TOPIC, 0), (TOPIC, 7)]) == {(TOPIC, 0): 42}


async def test_a_process_that_lost_its_partition_cannot_commit_what_the_other_one_did(
    toy: Toy,
) -> None:
    zombie = toy.engine
    await zombie.handle_batch([record(0)])
    successor = toy.restarted()
    await successor.positions([(TOPIC, 0)])
    await successor.handle_batch([record(1), record(2)])
    await zombie.handle_batch([record(1), record(2), record(3)])
    await successor.handle_batch([record(3), record(4)])
    assert await toy.done() == [0, 1, 2, 3, 4]
    assert await toy.offsets() == {(TOPIC, 0): 5}


async def test_unsubscribed_types_are_skipped_and_counted(toy: Toy) -> None:
    batch = [
        record(0, {}, type_="busbar.future.thing.v9"),
        record(1),
        record(2, {}, type_=ApplySubscription.TYPE),
    ]
    with counting("busbar_consumer_records_total", "outcome") as found:
        await toy.engine.handle_batch(batch)
    assert await toy.done() == [1]
    assert found == {"handled": 1, "skipped": 2}
    assert await toy.offsets() == {(TOPIC, 0): 3}
    assert (await toy.effects())["inbox"] == 1


async def test_a_service_that_takes_every_record_gets_the_unreadable_ones_too(
    store: Store, toy: Toy, clock: ManualClock
) -> None:
    service = Service("audit")
    taken: list[tuple[int, str]] = []

    async def take(found: Record, content: Envelope | Unreadable, tx: Transaction) -> None:
        tx.caused_by(Cause("kafka", str(found.offset), ""))
        await tx.append("copy", [fact(found.offset)])
        taken.append((found.offset, type(content).__name__))

    service.on_record(take)
    engine = Engine(service, store, toy.dead_letters, clock=clock, attempts=3)
    batch = [record(0), unreadable(1), record(2, {}, type_="some.thing")]
    await engine.handle_batch(batch)
    await engine.handle_batch(batch)
    assert taken == [(0, "Envelope"), (1, "Unreadable"), (2, "Envelope")]
    assert await facts_of(store, "copy") == [0, 1, 2]


# -- invalid and unknown events -----------------------------------------------------------------


async def test_invalid_data_goes_to_the_handler_of_invalid_events(toy: Toy) -> None:
    problems: list[InvalidEvent] = []

    async def answer(problem: InvalidEvent, tx: Transaction) -> None:
        problems.append(problem)
        await tx.append("refused", [fact(problem.record.offset)])

    toy.service.on_invalid(answer)
    engine = toy.restarted()
    batch = [record(0, intent(0, surprise=1)), record(1), record(2, [])]
    await engine.handle_batch(batch)
    await engine.handle_batch(batch)
    assert [problem.model for problem in problems] == [DeleteSubscription] * 2
    assert problems[0].error is not None
    assert problems[0].error.errors()[0]["loc"] == ("surprise",)
    assert await facts_of(toy.store, "refused") == [0, 2]
    assert await toy.done() == [1]
    assert await toy.dead() == []


async def test_unknown_intents_are_answered_on_the_named_topics_only(toy: Toy) -> None:
    problems: list[InvalidEvent] = []

    async def answer(problem: InvalidEvent, tx: Transaction) -> None:
        assert tx.cause.id == problem.envelope.id
        problems.append(problem)

    toy.service.on_invalid(answer, TOPIC)
    await toy.restarted().handle_batch(
        [
            record(0, {}, type_="busbar.future.thing.v9"),
            record(0, {}, id_="other", type_="busbar.future.thing.v9", topic="busbar.facts.policy"),
        ]
    )
    assert [(p.envelope.id, p.error, p.model) for p in problems] == [("intent-0", None, None)]


async def test_invalid_data_without_a_handler_is_dead_lettered_immediately(
    toy: Toy, clock: ManualClock
) -> None:
    await toy.engine.handle_batch([record(0, {"team": "payments", "name": "S3CRET!"}), record(1)])
    (dead_letter,) = await toy.dead()
    assert dead_letter.reason == "invalid_data"
    assert "/name" in dead_letter.detail
    assert "S3CRET!" not in dead_letter.detail
    assert clock.slept == []
    assert await toy.done() == [1]


# -- the same identity with another body --------------------------------------------------------


def conflicts_of(toy: Toy) -> list[ConflictingEvent]:
    found: list[ConflictingEvent] = []

    async def conflicting(conflict: ConflictingEvent, tx: Transaction) -> None:
        await tx.append("conflicts", [fact(conflict.record.offset)])
        found.append(conflict)

    toy.service.on_conflict(conflicting)
    toy.restarted()
    return found


async def test_another_body_under_the_same_identity_is_a_recorded_conflict(toy: Toy) -> None:
    found = conflicts_of(toy)
    await toy.engine.handle_batch([record(0, intent(1), id_="x")])
    await toy.engine.handle_batch([record(1, intent(2), id_="x")])
    assert await toy.done() == [1]
    (conflict,) = found
    assert conflict.envelope.data == intent(2)
    assert conflict.first != conflict.again
    assert await facts_of(toy.store, "conflicts") == [1]


async def test_a_conflict_inside_one_batch_is_recorded_too(toy: Toy) -> None:
    found = conflicts_of(toy)
    await toy.engine.handle_batch([record(0, intent(1), id_="x"), record(1, intent(2), id_="x")])
    assert len(found) == 1
    assert await toy.done() == [1]


async def test_the_same_body_again_is_not_a_conflict(toy: Toy) -> None:
    found = conflicts_of(toy)
    await toy.engine.handle_batch([record(0, intent(1), id_="x"), record(1, intent(1), id_="x")])
    await toy.engine.handle_batch([record(2, intent(1), id_="x")])
    assert found == []


async def test_a_repeated_conflict_is_recorded_once_and_another_one_separately(toy: Toy) -> None:
    found = conflicts_of(toy)
    await toy.engine.handle_batch([record(0, intent(1), id_="x")])
    for offset, other in ((1, 2), (2, 2), (3, 3), (4, 2), (5, 3), (6, 1)):
        await toy.engine.handle_batch([record(offset, intent(other), id_="x")])
    await toy.engine.handle_batch(
        [record(7, intent(4), id_="x"), record(8, intent(4), id_="x"), record(9)]
    )
    assert [conflict.record.offset for conflict in found] == [1, 3, 7]
    assert await toy.done() == [1, 9]
    assert await toy.offsets() == {(TOPIC, 0): 10}


# -- an unreachable store -----------------------------------------------------------------------


async def test_while_the_store_is_unreachable_it_waits_and_nothing_is_lost(
    toy: Toy, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    transact, said, refusals = toy.store.transact, list[str | None](), 9

    async def unwilling(*args: Any, **more: Any) -> Any:
        nonlocal refusals
        if refusals:
            refusals -= 1
            said.append(toy.engine.stalled)
            raise unreachable()
        return await transact(*args, **more)

    monkeypatch.setattr(toy.store, "transact", unwilling)
    await toy.engine.handle_batch([record(offset) for offset in range(3)])
    assert said[0] is None
    assert set(said[1:]) == {"disk I/O error"}
    assert toy.engine.stalled is None
    assert await toy.done() == [0, 1, 2]
    assert await toy.dead() == []
    assert clock.slept == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0, 1.0]


async def test_a_commit_that_fails_is_done_again(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    flush, failures = StoreTransaction.flush, 2

    async def failing(self: StoreTransaction) -> None:
        nonlocal failures
        await flush(self)
        if failures:
            failures -= 1
            raise unreachable()

    monkeypatch.setattr(StoreTransaction, "flush", failing)
    await toy.engine.handle_batch([record(0), record(1)])
    assert await toy.done() == [0, 1]
    assert toy.handled == ["s0", "s1"] * 3


async def test_a_store_that_becomes_unreachable_after_a_conflict_is_waited_for(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that raises would lose the batch: FastStream logs it and fetches the next one."""
    zombie = toy.engine
    await zombie.handle_batch([record(0)])
    successor = toy.restarted()
    await successor.positions([(TOPIC, 0)])
    await successor.handle_batch([record(1)])
    reading, refusals = toy.store.reading, 3

    def unwilling() -> Any:
        nonlocal refusals
        if refusals:
            refusals -= 1
            raise unreachable()
        return reading()

    monkeypatch.setattr(toy.store, "reading", unwilling)
    await zombie.handle_batch([record(1), record(2)])
    assert refusals == 0
    assert await toy.done() == [0, 1, 2]


async def test_positions_wait_for_the_store_instead_of_leaving_it_to_kafka(
    toy: Toy, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await toy.engine.handle_batch([record(0)])
    reading, refusals = toy.store.reading, 2

    def unwilling() -> Any:
        nonlocal refusals
        if refusals:
            refusals -= 1
            raise unreachable()
        return reading()

    monkeypatch.setattr(toy.store, "reading", unwilling)
    assert await toy.restarted().positions([(TOPIC, 0)]) == {(TOPIC, 0): 1}
    assert clock.slept == [0.1, 0.2]


async def test_an_invalid_query_of_a_handler_is_not_an_outage(toy: Toy) -> None:
    toy.broken["s1"] = DataError("INSERT", {}, Exception("string too big"))
    toy.broken["s2"] = IntegrityError("INSERT", {}, Exception("NOT NULL constraint failed"))
    await toy.engine.handle_batch([record(offset) for offset in range(4)])
    assert [dead_letter.offset for dead_letter in await toy.dead()] == [1, 2]
    assert await toy.done() == [0, 3]


async def test_a_conflict_that_never_ends_is_given_up_like_any_other_failure(toy: Toy) -> None:
    """An id that is permanently taken must not stop the partition permanently."""
    await append(toy.store, "s", 1)

    async def collide(received: Any, tx: Transaction) -> None:
        if received.record.offset == 1:
            tx.caused_by(Cause(SOURCE, "s-1", "c"))
        await tx.append("done", [fact(received.record.offset)])

    toy.service.handlers[DeleteSubscription.TYPE] = (DeleteSubscription, collide)
    await toy.restarted().handle_batch([record(offset) for offset in range(3)])
    assert [(dead_letter.offset, dead_letter.reason) for dead_letter in await toy.dead()] == [
        (1, "handler_failed")
    ]
    assert await toy.done() == [0, 2]


async def test_a_conflict_that_passes_is_only_a_reason_to_do_it_again(
    toy: Toy, clock: ManualClock
) -> None:
    toy.failing["s1"] = [Conflict("another writer was first")] * 2
    await toy.engine.handle_batch([record(offset) for offset in range(3)])
    assert await toy.done() == [0, 1, 2]
    assert clock.slept == []
    assert [event.type for event in await toy.store.events()].count(DeadLettered.TYPE) == 0
