"""Durable tasks: due order, leases, epochs, and writes that are refused after another claim."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from busbar.kernel.clock import format_time
from busbar.kernel.errors import Fenced
from busbar.runtime.store import Claim, Document, Store, StoreTransaction
from busbar.runtime.store.parts.tasks import Tasks
from busbar.testing import ManualClock
from support.runtime import (
    CAUSE,
    fact,
    facts_of,
)

T = TypeVar("T")
LEASE = timedelta(seconds=5)


class Bench:
    """Runs each operation on tasks of the kind ``k`` in its own transaction."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock

    async def _do(self, act: Callable[[Tasks], Awaitable[T]]) -> T:
        async def body(tx: StoreTransaction) -> T:
            return await act(tx.tasks)

        return await self.store.transact(body)

    async def schedule(self, name: str, after: float = 0, **data: Any) -> None:
        due = self.clock.now() + timedelta(seconds=after)
        await self._do(lambda tasks: tasks.schedule("k", name, due=due, data=data))

    async def claim(self, holder: str = "a", limit: int = 10) -> list[Claim]:
        return list(
            await self._do(lambda tasks: tasks.claim("k", holder=holder, lease=LEASE, limit=limit))
        )

    async def one(self, holder: str = "a") -> Claim:
        (claim,) = await self.claim(holder)
        return claim

    async def hold(self, claim: Claim) -> None:
        await self._do(lambda tasks: tasks.hold(claim))

    async def finish(self, claim: Claim, again: float | None = None) -> None:
        due = None if again is None else self.clock.now() + timedelta(seconds=again)
        await self._do(lambda tasks: tasks.finish(claim, again=due))

    async def remove(self, claim: Claim) -> None:
        await self._do(lambda tasks: tasks.remove(claim))

    async def next_due(self) -> float | None:
        """Return the seconds until the next claim can succeed."""
        async with self.store.reading() as tx:
            text = await tx.tasks.next_due("k")
        if text is None:
            return None
        offsets = range(-1000, 1000)
        return next(
            second
            for second in offsets
            if format_time(self.clock.now() + timedelta(seconds=second)) == text
        )


@pytest.fixture
def bench(store: Store, clock: ManualClock) -> Bench:
    return Bench(store, clock)


async def test_due_tasks_are_claimed_oldest_first(bench: Bench) -> None:
    for name, after in (("a", 3), ("c", 1), ("b", 2), ("d", 4)):
        await bench.schedule(name, after)
    bench.clock.advance(3)
    assert [claim.name for claim in await bench.claim(limit=2)] == ["c", "b"]
    assert [claim.name for claim in await bench.claim()] == ["a"]
    bench.clock.advance(1)
    assert [claim.name for claim in await bench.claim()] == ["d"]


async def test_a_claim_carries_the_data_and_belongs_to_its_kind(bench: Bench, store: Store) -> None:
    await bench.schedule("a", n=1)
    async with store.reading() as tx:
        assert await tx.tasks.next_due("other") is None

    async def other(tx: StoreTransaction) -> list[Claim]:
        return list(await tx.tasks.claim("other", holder="a", lease=LEASE, limit=9))

    assert await store.transact(other) == []
    claim = await bench.one()
    assert (claim.kind, claim.name, claim.data, claim.attempts) == ("k", "a", {"n": 1}, 1)


async def test_a_claimed_task_belongs_to_no_other_worker_until_the_lease_ends(bench: Bench) -> None:
    await bench.schedule("a")
    first = await bench.one("a")
    bench.clock.advance(4.9)
    assert await bench.claim("b") == []
    bench.clock.advance(0.1)
    second = await bench.one("b")
    assert (first.epoch, second.epoch) == (1, 2)
    assert second.attempts == 2


async def test_the_epoch_grows_with_every_claim_even_of_the_same_holder(bench: Bench) -> None:
    await bench.schedule("a")
    epochs = []
    for _ in range(4):
        claim = await bench.one()
        epochs.append(claim.epoch)
        await bench.finish(claim, again=0)
    assert epochs == [1, 2, 3, 4]


async def test_a_heartbeat_extends_the_lease_from_now(bench: Bench) -> None:
    await bench.schedule("a")
    claim = await bench.one()
    for _ in range(5):
        bench.clock.advance(4)
        await bench.hold(claim)
    bench.clock.advance(4.9)
    assert await bench.claim("b") == []
    bench.clock.advance(0.1)
    assert len(await bench.claim("b")) == 1


async def test_after_another_claim_nothing_of_the_first_holder_is_accepted(
    bench: Bench, store: Store
) -> None:
    await bench.schedule("a")
    stale = await bench.one("a")
    bench.clock.advance(5)
    current = await bench.one("b")

    async def record(tx: StoreTransaction) -> None:
        tx.caused_by(CAUSE)
        await tx.append("s", [fact()])
        await tx.documents.put(Document(kind="d", key="1", value={}))

    with pytest.raises(Fenced, match="epoch 1"):
        await store.transact(record, fence=stale)
    for refused in (bench.hold, bench.finish, bench.remove):
        with pytest.raises(Fenced):
            await refused(stale)
    assert await facts_of(store, "s") == []
    await store.transact(record, fence=current)
    assert await facts_of(store, "s") == [1]
    await bench.finish(current)


async def test_the_same_holder_is_fenced_from_its_own_older_claim(bench: Bench) -> None:
    await bench.schedule("a")
    older = await bench.one("a")
    bench.clock.advance(5)
    newer = await bench.one("a")
    for act in (bench.hold, bench.finish, bench.remove):
        with pytest.raises(Fenced):
            await act(older)
    await bench.hold(newer)


async def test_an_expired_lease_that_no_other_worker_took_is_still_ours(bench: Bench) -> None:
    await bench.schedule("a")
    claim = await bench.one()
    bench.clock.advance(60)
    await bench.hold(claim)
    assert await bench.claim("b") == []


async def test_a_finished_task_sleeps_until_it_is_scheduled_again(bench: Bench) -> None:
    await bench.schedule("a", n=1)
    await bench.finish(await bench.one())
    bench.clock.advance(1000)
    assert await bench.claim() == []
    assert await bench.next_due() is None
    await bench.schedule("a", n=2)
    claim = await bench.one()
    assert (claim.data, claim.attempts, claim.epoch) == ({"n": 2}, 1, 2)


async def test_a_task_given_back_runs_again_when_it_said(bench: Bench) -> None:
    await bench.schedule("a", n=1)
    await bench.finish(await bench.one(), again=7)
    assert await bench.next_due() == 7
    bench.clock.advance(6.9)
    assert await bench.claim() == []
    bench.clock.advance(0.1)
    claim = await bench.one("b")
    assert (claim.attempts, claim.data) == (2, {"n": 1})


async def test_scheduling_a_task_that_runs_is_not_lost(bench: Bench) -> None:
    await bench.schedule("a", n=1)
    running = await bench.one()
    await bench.schedule("a", n=2)
    assert await bench.claim("b") == []  # it is held
    await bench.finish(running)
    again = await bench.one()
    assert (again.data, again.attempts) == ({"n": 2}, 1)


async def test_scheduling_for_later_while_it_runs_wins_over_giving_it_back(bench: Bench) -> None:
    await bench.schedule("a")
    running = await bench.one()
    await bench.schedule("a", after=10)
    await bench.finish(running, again=1)
    bench.clock.advance(9.9)
    assert await bench.claim() == []
    bench.clock.advance(0.1)
    assert len(await bench.claim()) == 1


async def test_a_removed_task_is_gone_unless_it_was_scheduled_meanwhile(bench: Bench) -> None:
    await bench.schedule("a")
    await bench.remove(await bench.one())
    bench.clock.advance(1000)
    assert await bench.claim() == []
    await bench.schedule("a")
    running = await bench.one()
    await bench.schedule("a", n=2)
    await bench.remove(running)
    assert (await bench.one()).data == {"n": 2}


async def test_a_claim_of_a_removed_task_does_not_hold_the_next_one_of_its_name(
    bench: Bench,
) -> None:
    await bench.schedule("a")
    stale = await bench.one("a")
    await bench.remove(stale)
    await bench.schedule("a")
    current = await bench.one("b")
    assert current.epoch == stale.epoch  # the task was deleted, so only the holder differs
    with pytest.raises(Fenced):
        await bench.hold(stale)
    await bench.hold(current)


async def test_scheduling_moves_a_task_that_waits(bench: Bench) -> None:
    await bench.schedule("a", after=100, n=1)
    await bench.schedule("a", after=1, n=2)
    assert await bench.next_due() == 1
    bench.clock.advance(1)
    assert (await bench.one()).data == {"n": 2}


async def test_the_next_due_time_is_when_a_claim_can_succeed(bench: Bench) -> None:
    assert await bench.next_due() is None
    await bench.schedule("a")
    await bench.schedule("b", after=3)
    assert await bench.next_due() == 0
    await bench.one()
    assert await bench.next_due() == 3  # a is held for five seconds
    bench.clock.advance(3)
    await bench.one()
    assert await bench.next_due() == 2


async def test_a_dead_holders_task_that_is_due_later_is_not_due_when_its_lease_ends(
    bench: Bench,
) -> None:
    await bench.schedule("a")
    await bench.one()
    await bench.schedule("a", after=60)
    bench.clock.advance(10)  # the holder died; its lease is over, the task is not due
    assert await bench.claim("b") == []
    assert await bench.next_due() == 50
