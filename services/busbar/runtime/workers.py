"""Runs durable tasks: claims what is due, keeps the lease alive, gives back what failed.

A worker acts on the world between transactions. Whatever it records is fenced by its claim, so a
process that was paused past its lease can no longer write.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from busbar.kernel.clock import Clock, parse_time
from busbar.kernel.errors import Conflict, Fenced, Retry
from busbar.runtime.backoff import Backoff, Chance, chance
from busbar.runtime.logs import bind, get_logger
from busbar.runtime.meters import TaskMeter
from busbar.runtime.store import STORE_AWAY, Claim, Store, Transaction
from busbar.runtime.store.rows import Written

log = get_logger()
Result = TypeVar("Result")

CONCURRENT = 32
"""Tasks of one kind that a process works on at a time."""

IDLE_SECONDS = 1.0
BACKOFF = Backoff(first=2.0, longest=60.0)


@dataclass(frozen=True, slots=True)
class Work:
    """One claimed task, in the hands of its worker."""

    claim: Claim
    store: Store

    async def record(self, body: Callable[[Transaction], Awaitable[Result]]) -> Result:
        """Run ``body`` in a transaction that commits only while the lease is ours.

        Raises:
            Fenced: it no longer is.
        """
        return await self.store.transact(body, fence=self.claim)


Worker = Callable[[Work], Awaitable[None]]
"""Does the work and ends with ``tx.tasks.finish(work.claim)`` inside :meth:`Work.record`."""


class TaskRunner:
    """Runs the tasks of one kind."""

    def __init__(
        self,
        kind: str,
        worker: Worker,
        store: Store,
        *,
        clock: Clock,
        holder: str,
        lease: float,
        chance: Chance = chance,
    ) -> None:
        """Run ``worker`` on the tasks of ``kind``, each under a lease of ``lease`` seconds.

        What fails waits for its next try; waits differ by ``chance``.
        """
        self._kind = kind
        self._worker = worker
        self._store = store
        self._clock = clock
        self._holder = holder
        self._lease = timedelta(seconds=lease)
        self._backoff = replace(BACKOFF, chance=chance)
        self._meter = TaskMeter(store.service, kind, clock)
        self._wake = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        store.on_commit(self._on_commit)

    async def run(self) -> None:
        """Claim and work until cancelled; what is running then is given up at once."""
        try:
            while True:
                self._wake.clear()
                try:
                    if not await self._start():
                        await self._idle()
                except STORE_AWAY as error:
                    log.warning("store_unavailable", error=type(error).__name__)
                    await self._clock.sleep(IDLE_SECONDS)
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _start(self) -> bool:
        """Start to work on what is due; whether there was something."""
        claimed = await self._claim()
        for claim in claimed:
            task = asyncio.create_task(self._work(claim))
            self._running.add(task)
            task.add_done_callback(self._done)
        return bool(claimed)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._wake.set()

    async def _claim(self) -> list[Claim]:
        room = CONCURRENT - len(self._running)
        if room <= 0:
            return []
        async with self._store.reading() as tx:
            due = await tx.tasks.next_due(self._kind)
            if due is None or parse_time(due) > tx.now:
                return []

        async def take(tx: Transaction) -> list[Claim]:
            claims = await tx.tasks.claim(
                self._kind, holder=self._holder, lease=self._lease, limit=room
            )
            return list(claims)

        return await self._store.transact(take)

    async def _work(self, claim: Claim) -> None:
        naming = bind(task=claim.kind, task_name=claim.name, epoch=claim.epoch)
        with naming, self._meter.turn() as turn:
            heart = asyncio.create_task(self._heartbeat(claim, asyncio.current_task()))
            try:
                await self._worker(Work(claim, self._store))
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
            finally:
                heart.cancel()

    async def _heartbeat(self, claim: Claim, work: asyncio.Task[None] | None) -> None:
        """Extend the lease while the work goes on; stop the work if the lease is lost."""

        async def extend(tx: Transaction) -> None:
            await tx.tasks.hold(claim)

        ends = self._clock.now() + self._lease
        while True:
            await self._clock.sleep(self._lease.total_seconds() / 3)
            beat = self._clock.now()
            try:
                await self._store.transact(extend)
            except Fenced:
                ends = beat
            except STORE_AWAY as error:
                log.warning("heartbeat_failed", error=type(error).__name__)
            else:
                ends = beat + self._lease
            if ends <= beat:
                break
        log.warning("lease_lost")
        if work is not None:
            work.cancel()

    async def _give_back(self, claim: Claim, *, after: float) -> None:
        async def release(tx: Transaction) -> None:
            await tx.tasks.finish(claim, again=tx.now + timedelta(seconds=after))

        # If the store is away, the lease ends by itself.
        with suppress(Fenced, *STORE_AWAY):
            await self._store.transact(release)

    def _on_commit(self, written: Written) -> None:
        if self._kind in written.scheduled:
            self._wake.set()

    async def _idle(self) -> None:
        wait = IDLE_SECONDS
        async with self._store.reading() as tx:
            due = await tx.tasks.next_due(self._kind)
            if due is not None and len(self._running) < CONCURRENT:
                wait = min(wait, max(0.005, (parse_time(due) - tx.now).total_seconds()))
        # Not wait_for(): before Python 3.12 it can swallow a cancellation.
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._wake.wait()
