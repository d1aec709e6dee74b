"""Tasks that are due immediately are claimed as they are scheduled, up to the free slots."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest

from busbar.runtime.store import Claim, Store, Transaction
from busbar.runtime.tasks.runner import Job, TaskRunner, Work
from busbar.testing import ManualClock
from support import eventually
from support.runtime import (
    CAUSE,
    NOTHING,
    claimed_by,
    collect,
    fact,
    numbers,
    running,
)
from support.sql import own

CHUNK_ROWS = 4
LEASE = 6.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(auto_advance=False)


class Desk:
    """A runner that does not poll once it is idle, and the tasks that it started."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store, self.clock = store, clock
        self.work: Callable[[Work], Awaitable[None]] = finish
        self.started: list[Work] = []
        self.opened: list[Collection[str]] = []
        job = Job(self._worker, CHUNK_ROWS, self._open)
        self.runner = TaskRunner("k", job, store, clock=clock, holder="here", lease=LEASE)

    async def _worker(self, work: Work) -> None:
        self.started.append(work)
        await self.work(work)

    async def _open(self, names: Collection[str], tx: Transaction) -> dict[str, Any]:
        self.opened.append(names)
        return {name: numbers(await tx.load(name, NOTHING, collect)) for name in names}

    @property
    def names(self) -> list[str]:
        return [work.claim.name for work in self.started]

    async def schedule(self, *names: str) -> None:
        async def body(tx: Transaction) -> None:
            await schedule(tx, *names)

        await self.store.transact(body)

    async def claimed(self, holder: str = "there") -> list[Claim]:
        """Return the claims that another holder gets now."""
        return await claimed_by(self.store, holder, kind="k", lease=LEASE)

    async def settled(self) -> None:
        await eventually(lambda: not self.runner._slots.running, what="the end of all work")

    @asynccontextmanager
    async def standing(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
        """Run the runner; it has polled once in vain, and further polls claim nothing."""
        idle = asyncio.Event()

        async def look() -> None:
            idle.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(self.runner, "_poll", look)
        async with running(self.runner.run()):
            await idle.wait()
            yield


@pytest.fixture
def desk(store: Store, clock: ManualClock) -> Desk:
    return Desk(store, clock)


async def schedule(tx: Transaction, *names: str) -> None:
    for name in names:
        await tx.tasks.schedule("k", name, data={"is": name})


async def finish(work: Work) -> None:
    async def body(tx: Transaction) -> None:
        await tx.tasks.finish(work.claim)

    await work.record(body)


async def hang(_work: Work) -> None:
    await asyncio.Event().wait()


async def test_tasks_that_are_due_immediately_start_without_polling(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk.standing(monkeypatch):
        await desk.schedule("b", "a")
        await desk.settled()
        claims = [work.claim for work in desk.started]
        assert [(claim.name, claim.epoch, claim.attempts) for claim in claims] == [
            ("b", 1, 1),
            ("a", 1, 1),
        ]
        assert [claim.data for claim in claims] == [{"is": "b"}, {"is": "a"}]
        await desk.schedule("a")
        await desk.settled()
        assert [work.claim.epoch for work in desk.started] == [1, 1, 2]


async def test_it_begins_with_what_was_appended_in_the_same_transaction(
    desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(tx: Transaction) -> None:
        tx.caused_by(CAUSE)
        await tx.load("a", NOTHING, collect)
        await tx.append("a", [fact(7)])
        await schedule(tx, "a")

    async with desk.standing(monkeypatch):
        await store.transact(body)
        await desk.settled()
    assert [work.preloaded for work in desk.started] == [[7]]


async def test_no_more_tasks_are_claimed_than_there_are_free_slots(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.work = hang
    async with desk.standing(monkeypatch):
        await desk.schedule(*"abcdef")
        await eventually(lambda: len(desk.started) == CHUNK_ROWS)
        await desk.schedule("g")
        assert desk.names == ["a", "b", "c", "d"]
        assert [claim.name for claim in await desk.claimed()] == ["e", "f", "g"]


async def test_tasks_without_a_free_slot_are_worked_on_later(desk: Desk) -> None:
    async with running(desk.runner.run()):
        await desk.schedule(*(f"t{number:02}" for number in range(3 * CHUNK_ROWS)))
        await eventually(lambda: len(desk.started) == 3 * CHUNK_ROWS)
        await desk.settled()
    assert sorted(desk.names) == [f"t{number:02}" for number in range(3 * CHUNK_ROWS)]


async def test_what_another_holds_is_left_to_it(
    desk: Desk, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.schedule("a")
    (theirs,) = await desk.claimed()
    async with desk.standing(monkeypatch):
        await desk.schedule("a")
        assert desk.started == []
        assert desk.runner._slots.free == CHUNK_ROWS

        async def done(tx: Transaction) -> None:
            await tx.tasks.finish(theirs)

        await desk.store.transact(done)  # which was scheduled again meanwhile
        (again,) = await desk.claimed()
        assert again.epoch == theirs.epoch + 1
        clock.advance(LEASE)
        await desk.schedule("a")  # whose holder is late
        await desk.settled()
        assert [work.claim.epoch for work in desk.started] == [again.epoch + 1]


async def test_a_failed_transaction_starts_nothing_and_releases_its_slots(
    desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(tx: Transaction) -> None:
        await schedule(tx, "a", "b")
        await own(tx).flush()
        await schedule(tx, "c")
        raise ArithmeticError("no")

    async with desk.standing(monkeypatch):
        with pytest.raises(ArithmeticError):
            await store.transact(fails)
        assert desk.started == []
        assert desk.runner._slots.free == CHUNK_ROWS
    assert await desk.claimed() == []


async def test_what_a_savepoint_undoes_is_not_started(
    desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def half(tx: Transaction) -> None:
        await schedule(tx, "a")
        with suppress(ArithmeticError):
            async with own(tx).savepoint():
                await schedule(tx, "b")
                await own(tx).flush()
                await schedule(tx, "c")
                raise ArithmeticError("no")

    async with desk.standing(monkeypatch):
        await store.transact(half)
        await desk.settled()
        assert desk.names == ["a"]
        assert desk.runner._slots.free == CHUNK_ROWS


async def test_reading_what_they_begin_with_may_fail(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> Any:
        raise ArithmeticError("no")

    desk.runner.preload = broken
    async with desk.standing(monkeypatch):
        with pytest.raises(ArithmeticError):
            await desk.schedule("a")
        assert desk.runner._slots.free == CHUNK_ROWS
    assert await desk.claimed() == []


async def test_a_runner_that_has_stopped_takes_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk.standing(monkeypatch):
        pass
    await desk.schedule("a")
    assert [claim.name for claim in await desk.claimed()] == ["a"]


async def test_what_is_taken_as_it_stops_is_not_started(
    desk: Desk, store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed, stopped = asyncio.Event(), asyncio.Event()

    async def slow(tx: Transaction) -> None:
        await schedule(tx, "a")
        await own(tx).flush()
        flushed.set()
        await stopped.wait()

    async with desk.standing(monkeypatch):
        committing = asyncio.create_task(store.transact(slow))
        await flushed.wait()
    stopped.set()
    await committing
    assert not desk.runner._slots.running
    assert desk.runner._slots.free == CHUNK_ROWS
    clock.advance(LEASE)
    assert [claim.name for claim in await desk.claimed()] == ["a"]


async def test_what_is_due_later_is_not_taken(
    desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def later(tx: Transaction) -> None:
        await tx.tasks.schedule("k", "a", due=tx.now + timedelta(seconds=3))

    async with desk.standing(monkeypatch):
        await store.transact(later)
        assert desk.opened == []
        async with store.reading() as tx:
            assert await tx.tasks.next_due("k") is not None
    assert desk.started == []


async def test_the_lease_of_what_is_taken_ends_as_any_other(
    desk: Desk, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.work = hang
    async with desk.standing(monkeypatch):
        await desk.schedule("a")
        await eventually(lambda: desk.names == ["a"])
    clock.advance(LEASE - 0.1)
    assert await desk.claimed() == []
    clock.advance(0.1)
    assert [claim.epoch for claim in await desk.claimed()] == [2]
