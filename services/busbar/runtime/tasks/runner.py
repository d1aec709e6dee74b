"""Runs durable tasks: claims what is due, keeps the lease alive, gives back what failed.

What is scheduled in this process for now is taken as it is scheduled, while there is room
(:mod:`busbar.runtime.store.model.eager_claim`); everything else is looked for.

A worker acts on the world between transactions. Whatever it records is fenced by its claim, so a
process that was paused past its lease can no longer write.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from busbar.kernel.clock import Clock, parse_time
from busbar.kernel.errors import Conflict, Fenced, Retry
from busbar.runtime.core.backoff import Backoff, Chance, chance
from busbar.runtime.store import STORE_AWAY, Claim, Store, Transaction
from busbar.runtime.store.model.commit_result import CommitResult
from busbar.runtime.store.model.eager_claim import Opening
from busbar.runtime.tasks.group_commit import GroupCommit
from busbar.runtime.telemetry.logs import bind, get_logger
from busbar.runtime.telemetry.meters import TaskMeter

log = get_logger()
Result = TypeVar("Result")

CONCURRENT = 32
"""Tasks of one kind that a process works on at a time."""

IDLE_SECONDS = 1.0
BACKOFF = Backoff(first=2.0, longest=60.0)


class Recording(Protocol):
    """Where a worker records: a store, or what has several workers share its transactions."""

    async def transact(
        self,
        body: Callable[[Transaction], Awaitable[Result]],
        *,
        fence: Claim,
        reads: Collection[str] = (),
    ) -> Result:
        """Run ``body`` in a transaction that commits only while ``fence`` is held.

        ``reads`` are the streams that it will read.
        """
        ...


@dataclass(frozen=True, slots=True)
class Work:
    """One claimed task, in the hands of its worker."""

    claim: Claim
    recording: Recording
    opened: Any = None
    """What was read for it in the transaction that claimed it; None if that was nothing."""

    async def record(
        self, body: Callable[[Transaction], Awaitable[Result]], *, reads: Collection[str] = ()
    ) -> Result:
        """Run ``body`` in a transaction that commits only while the lease is ours.

        It may be one with that of other workers. ``reads`` are the streams that it will read;
        whoever names them does not wait for each.

        Raises:
            Fenced: it no longer is.
        """
        return await self.recording.transact(body, fence=self.claim, reads=reads)


Worker = Callable[[Work], Awaitable[None]]
"""Does the work and ends with ``tx.tasks.finish(work.claim)`` inside :meth:`Work.record`."""


@dataclass(frozen=True, slots=True)
class Job:
    """Who works on the tasks of a kind, on how many at a time, and what they begin with."""

    worker: Worker
    concurrency: int = CONCURRENT
    opening: Opening | None = None


@dataclass(slots=True)
class _Hand:
    """A task in hand: who works on it, and until when it is ours if nothing extends the lease."""

    claim: Claim
    ends: datetime


class TaskRunner:
    """Runs the tasks of one kind."""

    def __init__(
        self,
        kind: str,
        job: Job,
        store: Store,
        *,
        clock: Clock,
        holder: str,
        lease: float,
        chance: Chance = chance,
    ) -> None:
        """Do ``job`` on the tasks of ``kind``, each under a lease of ``lease`` seconds.

        What fails waits for its next try; waits differ by ``chance``.
        """
        self._kind = kind
        self._job = job
        self._store = store
        self._clock = clock
        self.holder = holder
        self.lease = timedelta(seconds=lease)
        self.opening = job.opening
        self._backoff = replace(BACKOFF, chance=chance)
        self._meter = TaskMeter(store.service, kind, clock)
        self._wake = asyncio.Event()
        self._running: dict[asyncio.Task[None], _Hand] = {}
        self._reserved = 0
        """Room that is kept for what transactions are about to take."""
        self._is_full = False
        """Whether there may be due tasks that there was no room for."""
        self._is_open = False
        """Whether it starts anything: what is taken as it stops waits for the end of its lease."""
        self._occupied = asyncio.Event()
        self._together = GroupCommit(store)
        store.on_commit(self._on_commit)

    async def run(self) -> None:
        """Claim and work until cancelled; what is running then is given up at once."""
        heart = asyncio.create_task(self._beat())
        try:
            self._is_open = True
            with self._store.eager_claims(self._kind, self):
                await self._look()
        finally:
            self._is_open = False
            heart.cancel()
            for task in self._running:
                task.cancel()
            await asyncio.gather(heart, *self._running, return_exceptions=True)
            await self._together.idle()

    def reserve(self, wanted: int) -> tuple[int, datetime]:
        """Keep room for up to ``wanted`` tasks: for how many, and when."""
        granted = max(0, min(wanted, self._free()))
        self._reserved += granted
        self._is_full = self._is_full or granted < wanted
        return granted, self._clock.now()

    def release(self) -> None:
        """Give up the room for one task."""
        self._reserved -= 1

    async def _look(self) -> None:
        """Claim and start what is due, whenever there may be something."""
        while True:
            self._wake.clear()
            try:
                if not await self._start():
                    await self._idle()
            except (Conflict, *STORE_AWAY) as error:
                log.warning("store_unavailable", error=type(error).__name__)
                await self._clock.sleep(IDLE_SECONDS)

    async def _start(self) -> bool:
        """Start to work on what is due; whether there was something."""
        asked = self._clock.now()
        claimed = await self._claim()
        for claim, opened in claimed:
            self._begin(claim, opened, asked)
        return bool(claimed)

    def _begin(self, claim: Claim, opened: Any, asked: datetime) -> None:
        task = asyncio.create_task(self._work(claim, opened))
        self._running[task] = _Hand(claim, asked + self.lease)
        task.add_done_callback(self._done)
        self._occupied.set()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task)
        if self._is_full and self._room():
            self._wake.set()

    def _free(self) -> int:
        return self._job.concurrency - len(self._running) - self._reserved

    def _room(self) -> int:
        """How many more to take: many at a time, or none yet."""
        room = self._free()
        return room if room >= self._job.concurrency // 4 else 0

    async def _claim(self) -> list[tuple[Claim, Any]]:
        room = self._room()
        self._is_full = not room
        if not room:
            return []
        async with self._store.reading() as tx:
            due = await tx.tasks.next_due(self._kind)
            if due is None or parse_time(due) > tx.now:
                return []

        async def take(tx: Transaction) -> list[tuple[Claim, Any]]:
            claims = await tx.tasks.claim(
                self._kind, holder=self.holder, lease=self.lease, limit=room
            )
            opened: Mapping[str, Any] = {}
            if self.opening is not None and claims:
                opened = await self.opening([claim.name for claim in claims], tx)
            return [(claim, opened.get(claim.name)) for claim in claims]

        self._reserved += room
        try:
            claimed = await self._store.transact(take)
        finally:
            self._reserved -= room
        self._is_full = len(claimed) == room
        return claimed

    async def _work(self, claim: Claim, opened: Any) -> None:
        naming = bind(task=claim.kind, task_name=claim.name, epoch=claim.epoch)
        with naming, self._meter.turn() as turn:
            try:
                await self._job.worker(Work(claim, self._together, opened))
            except Fenced:
                turn.outcome = "fenced"
                log.warning("task_fenced")
            except (Retry, Conflict) as error:
                turn.outcome = "again"
                await self._give_back(claim, after=getattr(error, "after", 0.0))
            except Exception:
                turn.outcome = "failed"
                log.exception("task_failed", attempts=claim.attempts)
                await self._give_back(claim, after=self._backoff.after(claim.attempts))

    async def _beat(self) -> None:
        """Extend the leases while the work goes on; stop the work whose lease is lost."""
        while True:
            await self._occupied.wait()
            await self._clock.sleep(self.lease.total_seconds() / 3)
            if not self._running:
                self._occupied.clear()
                continue
            beat, hands = self._clock.now(), dict(self._running)
            held = await self._hold([hand.claim for hand in hands.values()])
            for task, hand in hands.items():
                if held is not None:
                    hand.ends = beat + self.lease if hand.claim.identity in held else beat
                if hand.ends <= beat and task in self._running:
                    log.warning("lease_lost", task=hand.claim.kind, task_name=hand.claim.name)
                    task.cancel()

    async def _hold(self, claims: Sequence[Claim]) -> set[tuple[str, str, int]] | None:
        """The identities of those that are ours still; None if the store cannot tell."""

        async def extend(tx: Transaction) -> set[tuple[str, str, int]]:
            return {claim.identity for claim in await tx.tasks.held(claims)}

        try:
            return await self._store.transact(extend)
        except Exception as error:  # noqa: BLE001 - a heart that stops would lose every lease
            log.warning("heartbeat_failed", error=type(error).__name__)
            return None

    async def _give_back(self, claim: Claim, *, after: float) -> None:
        async def release(tx: Transaction) -> None:
            await tx.tasks.finish(claim, again=tx.now + timedelta(seconds=after))

        # If the store is away, the lease ends by itself.
        with suppress(Fenced, *STORE_AWAY):
            await self._store.transact(release)

    def _on_commit(self, written: CommitResult) -> None:
        for claim, opened, asked, taker in written.taken:
            if taker is self:
                self.release()
                if self._is_open:
                    self._begin(claim, opened, asked)
        if self._kind in written.scheduled:
            self._wake.set()

    async def _idle(self) -> None:
        wait = IDLE_SECONDS
        async with self._store.reading() as tx:
            due = await tx.tasks.next_due(self._kind)
            if due is not None and self._room():
                wait = min(wait, max(0.005, (parse_time(due) - tx.now).total_seconds()))
        # Not wait_for(): before Python 3.12 it can swallow a cancellation.
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._wake.wait()
