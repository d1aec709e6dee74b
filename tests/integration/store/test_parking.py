"""A failing message parks its ordering key: others continue, parked records keep their order."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import pytest
from sqlalchemy import select

from busbar.kernel.errors import Conflict, Fenced, Reject
from busbar.messages.delivery import (
    DeadLetterDiscarded,
    DeadLetterRecovered,
    DeadLetterRedriven,
)
from busbar.messages.notification import DeleteSubscription
from busbar.runtime.consume.parking import PARKED, ordering_key_of
from busbar.runtime.core.bus import Record
from busbar.runtime.store import Claim, Store, Transaction
from busbar.runtime.store.schema import tables
from busbar.runtime.tasks.runner import Work
from busbar.testing import ManualClock
from support.redrive import discard, redrive
from support.runtime import (
    Toy,
    intent,
    record,
)
from support.sql import own, run_sql

Result = TypeVar("Result")
OWN, OTHER = "payments/dev/stream/own", "payments/dev/stream/other"


def of(ordering_key: str, *offsets: int) -> list[Record]:
    return [record(offset, key=ordering_key) for offset in offsets]


async def claimed(store: Store) -> list[Claim]:
    async def take(tx: Transaction) -> list[Claim]:
        lease = timedelta(seconds=5)
        return list(await own(tx).tasks.claim(PARKED, holder="a", lease=lease, limit=10))

    return await store.transact(take)


async def resume(toy: Toy) -> int:
    """Resume the ordering keys that are due; return their number."""
    claims = await claimed(toy.store)
    for claim in claims:
        await toy.engine.parking.resume(Work(claim, toy.store))
    return len(claims)


async def facts(toy: Toy, *types: type[DeadLetterRecovered | DeadLetterRedriven]) -> list[object]:
    known = {one.TYPE: one for one in types}
    return [
        known[event.type].model_validate_json(event.data)
        for event in await toy.store.events(limit=10_000)
        if event.type in known
    ]


async def discarded(toy: Toy) -> list[str]:
    """Return the outcomes of requests to discard a dead letter."""
    return [
        DeadLetterDiscarded.model_validate_json(event.data).outcome
        for event in await toy.store.events()
        if event.type == DeadLetterDiscarded.TYPE
    ]


async def parked(toy: Toy) -> list[str]:
    async with toy.store.reading() as tx:
        return list((await run_sql(tx, select(tables.parked_keys.c.ordering_key))).scalars())


async def fail_once(toy: Toy, *records: Record, broken: int = 0) -> list[str]:
    """Handle ``records`` while number ``broken`` fails, fix the handler, return dead letters."""
    toy.broken[f"s{broken}"] = ArithmeticError("no")
    await toy.engine.handle_batch(records)
    toy.broken.clear()
    return [dead_letter.dead_letter for dead_letter in await toy.dead()]


async def test_what_comes_behind_a_failed_message_waits_and_other_ordering_keys_go_on(
    toy: Toy,
) -> None:
    toy.broken["s0"] = ArithmeticError("no")
    await toy.engine.handle_batch([*of(OWN, 0), *of(OTHER, 1), *of(OWN, 2, 3), *of(OTHER, 4)])
    await toy.engine.handle_batch([*of(OWN, 5), *of(OTHER, 6)])
    assert await toy.done() == [1, 4, 6]
    dead_letters = await toy.dead()
    assert [dead_letter.offset for dead_letter in dead_letters] == [0, 2, 3, 5]
    assert [dead_letter.reason for dead_letter in dead_letters] == [
        "handler_failed",
        *["parked"] * 3,
    ]
    assert [dead_letter.ordering_key for dead_letter in dead_letters] == [OWN] * 4
    assert [dead_letter.behind for dead_letter in dead_letters] == [
        None,
        *[dead_letters[0].dead_letter] * 3,
    ]
    assert await toy.offsets() == {(DeleteSubscription.TOPIC, 0): 7}


async def test_a_parked_ordering_key_is_handled_in_order_once_the_handler_is_fixed(
    toy: Toy, clock: ManualClock
) -> None:
    dead_letters = await fail_once(toy, *of(OWN, 0, 1, 2))
    clock.advance(60)
    assert await resume(toy) == 1
    assert await toy.done() == [0, 1, 2]
    recovered = await facts(toy, DeadLetterRecovered)
    assert [
        one.dead_letter for one in recovered if isinstance(one, DeadLetterRecovered)
    ] == dead_letters
    assert await parked(toy) == []
    await toy.engine.handle_batch(of(OWN, 3))
    assert await toy.done() == [0, 1, 2, 3]


async def test_an_ordering_key_is_retried_with_exponential_backoff(
    toy: Toy, clock: ManualClock
) -> None:
    toy.broken["s0"] = ArithmeticError("no")
    await toy.engine.handle_batch(of(OWN, 0))
    waits = []
    for _ in range(4):
        async with toy.store.reading() as tx:
            due = await run_sql(tx, select(tables.tasks.c.due).where(tables.tasks.c.kind == PARKED))
            at = str(due.scalar_one())
        before = clock.now()
        while not await resume(toy):
            clock.advance(1)
        waits.append(round((clock.now() - before).total_seconds()))
        assert at
    assert waits == [20, 40, 80, 160]
    assert await toy.done() == []
    assert len(await toy.dead()) == 1
    assert await facts(toy, DeadLetterRecovered, DeadLetterRedriven) == []


async def test_what_fails_again_in_a_resumed_ordering_key_holds_up_what_is_behind_it(
    toy: Toy, clock: ManualClock
) -> None:
    await fail_once(toy, *of(OWN, 0, 1, 2))
    toy.broken["s1"] = ArithmeticError("no")
    clock.advance(60)
    await resume(toy)
    assert await toy.done() == [0]
    await toy.engine.handle_batch(of(OWN, 3))
    toy.broken.clear()
    clock.advance(3600)
    await resume(toy)
    assert await toy.done() == [0, 1, 2, 3]


async def test_redriving_any_dead_letter_of_an_ordering_key_handles_all_of_them_in_order(
    toy: Toy,
) -> None:
    dead_letters = await fail_once(toy, *of(OWN, 0, 1, 2))
    await toy.engine.handle_batch([redrive(0, dead_letters[1])])
    assert await resume(toy) == 1
    assert await toy.done() == [0, 1, 2]
    (redriven,) = await facts(toy, DeadLetterRedriven)
    assert isinstance(redriven, DeadLetterRedriven)
    assert (redriven.dead_letter, redriven.outcome, redriven.intent.id) == (
        dead_letters[1],
        "handled",
        "redrive-0",
    )


async def test_each_redrive_request_is_answered_with_the_record_that_failed_again(toy: Toy) -> None:
    toy.broken["s0"] = ArithmeticError("no")
    await toy.engine.handle_batch(of(OWN, 0, 1))
    head, behind = [dead_letter.dead_letter for dead_letter in await toy.dead()]
    await toy.engine.handle_batch([redrive(0, behind), redrive(1, head)])
    await resume(toy)
    outcomes = [
        one for one in await facts(toy, DeadLetterRedriven) if isinstance(one, DeadLetterRedriven)
    ]
    assert [(one.dead_letter, one.outcome) for one in outcomes] == [
        (behind, "failed"),
        (head, "failed"),
    ]
    assert outcomes[0].detail == f"it waits behind {head}: policy failed with ArithmeticError"
    assert outcomes[1].detail == "policy failed with ArithmeticError"
    assert await toy.done() == []
    await resume(toy)
    assert len(await facts(toy, DeadLetterRedriven)) == 2


async def test_a_discarded_dead_letter_is_given_up_and_what_waits_behind_it_goes_on(
    toy: Toy,
) -> None:
    toy.broken["s0"] = ArithmeticError("no")
    await toy.engine.handle_batch(of(OWN, 0, 1))
    head = (await toy.dead())[0].dead_letter
    await toy.engine.handle_batch([discard(0, head)])
    await resume(toy)
    assert await toy.done() == [1]
    assert await parked(toy) == []
    await toy.engine.handle_batch([discard(1, head)])
    await toy.engine.handle_batch([discard(2, "unknown")])
    assert await discarded(toy) == ["discarded", "not_waiting", "unknown_dead_letter"]


async def test_a_dead_letter_that_parks_nothing_is_discarded_once_even_if_its_redrive_failed(
    toy: Toy,
) -> None:
    toy.broken["s0"] = Reject("no_use", "it is of no use")
    await toy.engine.handle_batch(of(OWN, 0))
    (rejected,) = [dead_letter.dead_letter for dead_letter in await toy.dead()]
    await toy.engine.handle_batch([redrive(0, rejected)])
    (redriven,) = await facts(toy, DeadLetterRedriven)
    assert isinstance(redriven, DeadLetterRedriven)
    assert redriven.outcome == "failed"

    await toy.engine.handle_batch([discard(1, rejected)])
    await toy.engine.handle_batch([discard(2, rejected)])

    assert await discarded(toy) == ["discarded", "not_waiting"]


async def test_a_dead_letter_that_was_handled_is_not_discarded(toy: Toy) -> None:
    toy.broken["s0"] = Reject("no_use", "it is of no use")
    await toy.engine.handle_batch(of(OWN, 0))
    (rejected,) = [dead_letter.dead_letter for dead_letter in await toy.dead()]
    toy.broken.clear()
    await toy.engine.handle_batch([redrive(0, rejected)])
    assert await toy.done() == [0]

    await toy.engine.handle_batch([discard(1, rejected)])

    assert await discarded(toy) == ["not_waiting"]


async def test_a_rejected_intent_holds_up_nothing(toy: Toy) -> None:
    toy.broken["s0"] = Reject("no_use", "it is of no use")
    await toy.engine.handle_batch(of(OWN, 0, 1))
    assert await toy.done() == [1]
    assert [dead_letter.ordering_key for dead_letter in await toy.dead()] == [None]
    assert await parked(toy) == []


async def test_a_record_without_a_key_waits_alone(toy: Toy) -> None:
    keyless = [Record(r.topic, 0, r.offset, 0, None, r.value, r.headers) for r in of("x", 0, 1)]
    await fail_once(toy, *keyless)
    assert await toy.done() == [1]
    assert await parked(toy) == [f"{DeleteSubscription.TOPIC}/0/0"]


async def test_an_event_that_comes_again_while_its_ordering_key_waits_is_handled_once(
    toy: Toy, clock: ManualClock
) -> None:
    again = record(2, intent(0), id_="intent-0", key=OWN)
    await fail_once(toy, *of(OWN, 0, 1), again)
    clock.advance(60)
    await resume(toy)
    assert await toy.done() == [0, 1]
    assert await parked(toy) == []


async def test_a_process_that_dies_between_two_dead_letters_leaves_the_rest_to_the_next_one(
    toy: Toy, clock: ManualClock
) -> None:
    await fail_once(toy, *of(OWN, 0, 1, 2))
    clock.advance(60)
    (claim,) = await claimed(toy.store)
    with pytest.raises(Died):
        await toy.engine.parking.resume(MortalWork(claim, toy.store, left=[1, 2]))
    assert await toy.done() == [0, 1]
    clock.advance(6)
    toy.restarted()
    await resume(toy)
    assert await toy.done() == [0, 1, 2]


class Died(BaseException):
    """The death of the process."""


@dataclass(frozen=True)
class MortalWork(Work):
    """The work of a process that dies after some transactions."""

    left: list[int] = field(kw_only=True)

    async def record(
        self, body: Callable[[Transaction], Awaitable[Result]], *, reads: Collection[str] = ()
    ) -> Result:
        if not self.left:
            raise Died
        self.left.pop()
        return await Work.record(self, body, reads=reads)


async def test_a_worker_that_lost_its_lease_handles_nothing_of_the_ordering_key(
    toy: Toy, clock: ManualClock
) -> None:
    await fail_once(toy, *of(OWN, 0))
    clock.advance(60)
    (old,) = await claimed(toy.store)
    clock.advance(6)
    (new,) = await claimed(toy.store)
    with pytest.raises(Fenced):
        await toy.engine.parking.resume(Work(old, toy.store))
    assert await toy.done() == []
    await toy.engine.parking.resume(Work(new, toy.store))
    assert await toy.done() == [0]


async def test_a_conflict_while_resuming_is_not_a_failure_of_the_message(
    toy: Toy, clock: ManualClock
) -> None:
    await fail_once(toy, *of(OWN, 0))
    toy.failing["s0"] = [Conflict("another writer was first")]
    clock.advance(60)
    (claim,) = await claimed(toy.store)
    with pytest.raises(Conflict):
        await toy.engine.parking.resume(Work(claim, toy.store))
    await toy.engine.parking.resume(Work(claim, toy.store))
    assert await toy.done() == [0]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (b"payments/dev/stream/own", "payments/dev/stream/own"),
        (b"", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"with a pa55word", "sha256:"),
        (b"\xff", "sha256:"),
        (b"x" * 201, "sha256:"),
    ],
)
def test_an_ordering_key_is_named_after_its_key_if_that_is_a_plain_name(
    key: bytes, name: str
) -> None:
    assert ordering_key_of(Record("t", 1, 2, 0, key, None, [])).startswith(name)


def test_two_keys_that_are_not_plain_names_are_two_ordering_keys() -> None:
    names = {
        ordering_key_of(Record("t", 1, 2, 0, key, None, [])) for key in (b"\xff", b"\xfe", b" ")
    }
    assert len(names) == 3
