"""Due tasks run under a lease, are released when they fail, and fenced when it is lost."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, Literal

import pytest
from sqlalchemy import update

from busbar.kernel.errors import Conflict, Fenced, Retry
from busbar.runtime.store import Cause, Claim, Store, StoreUnavailable, Transaction
from busbar.runtime.store.schema import tables
from busbar.runtime.tasks.runner import BACKOFF, CONCURRENCY, Job, TaskRunner, TaskTiming, Work
from busbar.testing import ManualClock
from support import eventually
from support.runtime import (
    SOURCE,
    claimed_by,
    fact,
    facts_of,
    running,
)
from support.sql import run_sql

LEASE = 6.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(auto_advance=False)


class Bench:
    """A runner whose worker calls :attr:`work`, and a clock to move."""

    def __init__(
        self,
        store: Store,
        clock: ManualClock,
        *,
        runs_on: ManualClock | None = None,
        concurrency: int = CONCURRENCY,
    ) -> None:
        self.store = store
        self.clock = clock
        self.work: Callable[[Work], Awaitable[None]] = finish
        self.started: list[Claim] = []
        self.cancelled: list[str] = []
        self.runner = TaskRunner(
            "k",
            Job(self._worker, concurrency),
            store,
            clock=runs_on or clock,
            holder="a",
            lease=LEASE,
            jitter=lambda: 1.0,
        )

    async def _worker(self, work: Work) -> None:
        self.started.append(work.claim)
        try:
            await self.work(work)
        except asyncio.CancelledError:
            self.cancelled.append(work.claim.name)
            raise

    @property
    def names(self) -> list[str]:
        return [claim.name for claim in self.started]

    async def schedule(
        self, *names: str, after: float = 0, data: dict[str, int] | None = None
    ) -> None:
        async def body(tx: Transaction) -> None:
            for name in names:
                due = tx.now + timedelta(seconds=after)
                await tx.tasks.schedule("k", name, due=due, data=data or {})

        await self.store.transact(body)

    async def claim(self, holder: str = "b") -> list[Claim]:
        return await claimed_by(self.store, holder, kind="k", lease=LEASE)

    def tick(self, seconds: float) -> None:
        """Move the clock, and wake the runner now instead of within a second."""
        self.clock.advance(seconds)
        self.runner._wake.set()

    async def ran(self, times: int) -> None:
        await eventually(lambda: len(self.started) >= times, what=f"run {times}")
        await self.settled()

    async def settled(self) -> None:
        await eventually(lambda: not self.runner._slots.running, what="the end of all work")

    async def heartbeats(self, count: int) -> None:
        """Return when the heartbeat waits for the ``count``-th time."""
        await eventually(lambda: self.clock.slept.count(LEASE / 3) >= count, what="heartbeat")

    def running(self) -> AbstractAsyncContextManager[None]:
        return running(self.runner.run())


@pytest.fixture
def bench(store: Store, clock: ManualClock) -> Bench:
    return Bench(store, clock)


async def finish(work: Work) -> None:
    async def body(tx: Transaction) -> None:
        tx.caused_by(Cause(SOURCE, work.claim.name, "c"), index=work.claim.epoch)
        await tx.append("done", [fact(work.claim.epoch)])
        await tx.tasks.finish(work.claim)

    await work.record(body)


async def fail(_work: Work) -> None:
    raise ArithmeticError("no")


async def hang(_work: Work) -> None:
    await asyncio.Event().wait()


async def test_a_task_is_worked_on_when_it_is_due(bench: Bench) -> None:
    await bench.schedule("a", after=3)
    async with bench.running():
        bench.tick(2.9)
        await bench.schedule("b")
        await bench.ran(1)
        bench.tick(0.1)
        await bench.ran(2)
    assert bench.names == ["b", "a"]


async def test_scheduling_wakes_the_runner(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.runner._timing = TaskTiming(idle=3600)
    idle = asyncio.Event()
    original = bench.runner._idle

    async def marked() -> None:
        idle.set()
        await original()

    monkeypatch.setattr(bench.runner, "_idle", marked)
    async with bench.running():
        await idle.wait()
        await bench.schedule("a")
        await bench.ran(1)


async def test_only_so_many_tasks_are_worked_on_at_a_time(bench: Bench) -> None:
    bench.work = hang
    await bench.schedule(*(f"t{number:02}" for number in range(CONCURRENCY + 3)))
    async with bench.running():
        await eventually(lambda: len(bench.started) == CONCURRENCY)
        bench.tick(0)
        await bench.heartbeats(1)
        assert len(bench.started) == CONCURRENCY
    assert len(bench.cancelled) == CONCURRENCY


async def test_a_task_that_fails_is_tried_again_with_a_growing_backoff(bench: Bench) -> None:
    bench.work = fail
    await bench.schedule("a")
    async with bench.running():
        for attempt, backoff in enumerate((2, 4, 8, 16, 32, 60, 60), start=1):
            await bench.ran(attempt)
            bench.tick(backoff - 0.1)
            assert await bench.claim() == []
            bench.tick(0.1)
        await bench.ran(8)
    assert [claim.attempts for claim in bench.started] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert BACKOFF.longest == 60


async def test_a_task_that_has_failed_for_days_still_waits_its_backoff(
    bench: Bench, store: Store
) -> None:
    bench.work = fail
    await bench.schedule("a")

    async def age(tx: Transaction) -> None:
        await run_sql(tx, update(tables.tasks).values(attempts=5000))

    await store.transact(age)
    async with bench.running():
        await bench.ran(1)
        bench.tick(LEASE)
        assert await bench.claim() == []
        bench.tick(BACKOFF.longest - LEASE)
        await bench.ran(2)


async def test_a_retry_may_specify_its_delay(bench: Bench) -> None:
    async def wait(work: Work) -> None:
        if work.claim.attempts == 1:
            raise Retry("not ready", after=90)
        await finish(work)

    bench.work = wait
    await bench.schedule("a")
    async with bench.running():
        await bench.ran(1)
        bench.tick(89.9)
        assert await bench.claim() == []
        bench.tick(0.1)
        await bench.ran(2)
    assert await facts_of(bench.store, "done") == [2]


async def test_a_failing_task_does_not_disturb_the_others(bench: Bench) -> None:
    async def sometimes(work: Work) -> None:
        await (fail(work) if work.claim.name == "b" else finish(work))

    bench.work = sometimes
    await bench.schedule("a", "b", "c")
    async with bench.running():
        await bench.ran(3)
    async with bench.store.reading() as tx:
        assert await tx.tasks.next_due("k") is not None  # b
    assert sorted(bench.names) == ["a", "b", "c"]


async def test_a_heartbeat_keeps_the_lease_while_the_work_goes_on(bench: Bench) -> None:
    go_on = asyncio.Event()

    async def slow(work: Work) -> None:
        await go_on.wait()
        await finish(work)

    bench.work = slow
    await bench.schedule("a")
    async with bench.running():
        for beat in range(1, 11):
            await bench.heartbeats(beat)
            bench.clock.advance(LEASE / 3)
            await bench.heartbeats(beat + 1)
            assert await bench.claim() == []
        go_on.set()
        await bench.settled()
    assert await facts_of(bench.store, "done") == [1]


async def test_a_worker_that_was_overtaken_cannot_record(store: Store, clock: ManualClock) -> None:
    # The runner's own clock stands still, so it extends no lease; it has no slot to claim again.
    bench = Bench(store, clock, runs_on=ManualClock(auto_advance=False), concurrency=1)
    refused: list[Exception] = []

    async def paused(work: Work) -> None:
        bench.clock.advance(LEASE)
        assert len(await bench.claim("b")) == 1

        async def report(tx: Transaction) -> None:
            tx.caused_by(Cause(SOURCE, "late", "c"))
            await tx.append("done", [fact(1)])

        try:
            await work.record(report)
        except Fenced as error:
            refused.append(error)
            raise

    bench.work = paused
    await bench.schedule("a")
    async with bench.running():
        await bench.ran(1)
    assert len(refused) == 1
    assert await facts_of(bench.store, "done") == []
    bench.clock.advance(LEASE - 0.1)
    assert await bench.claim("c") == []  # giving it back was refused as well


async def test_losing_the_lease_cancels_the_work(bench: Bench) -> None:
    bench.work = hang
    await bench.schedule("a")
    async with bench.running():
        await bench.heartbeats(1)

        async def steal(tx: Transaction) -> None:
            taken = {"epoch": tables.tasks.c.epoch + 1, "holder": "b"}
            await run_sql(tx, update(tables.tasks).values(**taken))

        await bench.store.transact(steal)
        bench.clock.advance(LEASE / 3)
        await bench.settled()
    assert bench.cancelled == ["a"]


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailable("disk I/O error"),
        Conflict("met"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_failed_heartbeat_is_retried_until_the_lease_ends(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    bench.work = hang
    await bench.schedule("a")
    async with bench.running():
        await bench.heartbeats(1)

        async def unreachable(*_args: Any, **_more: Any) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(bench.store, "transact", unreachable)
            bench.clock.advance(LEASE / 3)
            await bench.heartbeats(2)
            assert bench.cancelled == []
        bench.clock.advance(LEASE / 3)
        await bench.heartbeats(3)
        monkeypatch.setattr(bench.store, "transact", unreachable)
        for beat in (4, 5):
            bench.clock.advance(LEASE / 3)
            await bench.heartbeats(beat)
            assert bench.cancelled == []
        bench.clock.advance(LEASE / 3)  # no heartbeat extended it for its whole length
        await bench.settled()
    assert bench.cancelled == ["a"]


async def test_a_runner_waits_for_an_unreachable_store(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.schedule("a")

    def unreachable() -> Any:
        raise StoreUnavailable("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(bench.store, "reading", unreachable)
        async with bench.running():
            await eventually(lambda: bench.clock.slept)
            patch.undo()
            bench.clock.advance(1)
            await bench.ran(1)
    assert bench.names == ["a"]


async def test_a_task_that_is_scheduled_while_it_runs_runs_again(bench: Bench) -> None:
    go_on = asyncio.Event()

    async def slow(work: Work) -> None:
        await go_on.wait()
        await finish(work)

    bench.work = slow
    await bench.schedule("a", data={"n": 1})
    async with bench.running():
        await eventually(lambda: len(bench.started) == 1)
        await bench.schedule("a", data={"n": 2})
        await bench.schedule("a", data={"n": 3})
        bench.tick(0)
        assert len(bench.started) == 1  # never twice at a time
        go_on.set()
        await bench.ran(2)
    assert [claim.data for claim in bench.started] == [{"n": 1}, {"n": 3}]


async def test_work_of_a_runner_that_is_stopped_is_given_up_and_done_by_the_next(
    bench: Bench,
) -> None:
    bench.work = hang
    await bench.schedule("a")
    async with bench.running():
        await eventually(lambda: len(bench.started) == 1)
    assert bench.cancelled == ["a"]
    bench.work = finish
    bench.clock.advance(LEASE)
    async with bench.running():
        await bench.ran(2)
    assert await facts_of(bench.store, "done") == [2]


async def test_a_worker_that_forgets_to_finish_gets_the_task_again_after_the_lease(
    bench: Bench,
) -> None:
    async def forget(_work: Work) -> None:
        return

    bench.work = forget
    await bench.schedule("a")
    async with bench.running():
        await bench.ran(1)
        bench.tick(LEASE)
        await bench.ran(2)


async def test_a_runner_that_is_cancelled_while_it_is_woken_stops(bench: Bench) -> None:
    """asyncio.wait_for swallows such a cancellation before Python 3.12."""
    idle = asyncio.Event()

    class Wake(asyncio.Event):
        async def wait(self) -> Literal[True]:
            idle.set()
            return await super().wait()

    bench.runner._wake = Wake()
    task = asyncio.create_task(bench.runner.run())
    await idle.wait()
    bench.runner._wake.set()
    await asyncio.sleep(0)  # the inner wait is over, the outer one does not know yet
    task.cancel()
    await asyncio.wait({task}, timeout=2)
    assert task.done()


async def test_a_task_whose_worker_lost_the_store_is_given_back_once_it_answers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = bench.store.transact, 3

    async def unwilling(*args: Any, **more: Any) -> Any:
        nonlocal failures
        if failures:
            failures -= 1
            raise StoreUnavailable("the connection is lost")
        return await real(*args, **more)

    async def work(work: Work) -> None:
        if len(bench.started) == 1:
            monkeypatch.setattr(bench.store, "transact", unwilling)
            raise StoreUnavailable("the connection is lost")
        await finish(work)

    bench.work = work
    await bench.schedule("a")
    began = bench.clock.now()

    def ran_again() -> bool:
        bench.tick(0.05)
        return len(bench.started) == 2

    async with bench.running():
        await eventually(ran_again)
        await bench.settled()
    assert [claim.epoch for claim in bench.started] == [1, 2]
    assert (bench.clock.now() - began).total_seconds() < LEASE
