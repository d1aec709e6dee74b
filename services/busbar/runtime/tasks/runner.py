"""The task runner: claims due tasks, starts workers, and releases tasks that failed.

A task that this process schedules for now is claimed in the transaction that schedules it, while
there is a free slot (:mod:`busbar.runtime.store.model.eager_claim`); other tasks are polled for.

A worker acts on the world between transactions. Whatever it records is fenced by its claim, so a
process that was paused past its lease cannot write any more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from busbar.kernel.clock import Clock, parse_time
from busbar.kernel.errors import Conflict, Fenced, Retry
from busbar.runtime.core.backoff import UNREACHABLE, Backoff, Jitter, jitter
from busbar.runtime.core.waiting import wait_for_event
from busbar.runtime.store import Claim, Store, StoreTransaction, StoreUnavailable, Transaction
from busbar.runtime.store.model.commit_result import CommitResult
from busbar.runtime.store.model.eager_claim import Preload
from busbar.runtime.tasks.group_commit import GroupCommit
from busbar.runtime.tasks.heartbeat import Heartbeat
from busbar.runtime.tasks.slots import Lease, Slots
from busbar.runtime.telemetry.logs import bind, get_logger
from busbar.runtime.telemetry.meters import TaskMeter

log = get_logger()
Result = TypeVar("Result")

CONCURRENCY = 32
"""Tasks of one kind that a process works on concurrently, by default."""

BACKOFF = Backoff(first=2.0, longest=60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTiming:
    """Waits of a task runner, in seconds."""

    idle: float = 1.0
    """Longest wait for due tasks that another process scheduled."""

    least: float = 0.005
    """Shortest wait for a task that is almost due."""


class Recording(Protocol):
    """The place where a worker records: a store, or a group commit in front of it."""

    async def transact(
        self,
        body: Callable[[Transaction], Awaitable[Result]],
        *,
        fence: Claim,
        reads: Collection[str] = (),
    ) -> Result:
        """Run ``body`` in a transaction that commits only while ``fence`` is held.

        ``reads`` are the streams that it reads, fetched beforehand in one query.
        """
        ...


@dataclass(frozen=True, slots=True)
class Work:
    """One claimed task, as its worker sees it."""

    claim: Claim
    recording: Recording
    preloaded: Any = None
    """Result of the job's ``preload`` for this task; None if there was nothing to read."""

    async def record(
        self, body: Callable[[Transaction], Awaitable[Result]], *, reads: Collection[str] = ()
    ) -> Result:
        """Run ``body`` in a transaction that commits only while the lease is held.

        Transactions of several workers may be committed as one. ``reads`` are the streams that
        ``body`` reads, fetched beforehand in one query.

        Raises:
            Fenced: the lease was lost.
        """
        return await self.recording.transact(body, fence=self.claim, reads=reads)


Worker = Callable[[Work], Awaitable[None]]
"""Works on a task; its last :meth:`Work.record` calls ``tx.tasks.finish(work.claim)``."""


@dataclass(frozen=True, slots=True)
class Job:
    """The worker for a kind of task, its concurrency, and what is read before it starts."""

    worker: Worker
    concurrency: int = CONCURRENCY
    preload: Preload | None = None


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
        timing: TaskTiming | None = None,
        jitter: Jitter = jitter,
    ) -> None:
        """Run ``job`` for the tasks of ``kind``, each under a lease of ``lease`` seconds.

        A failed task is retried after a backoff; ``jitter`` adds jitter to it.
        """
        self._kind = kind
        self._job = job
        self._store = store
        self._clock = clock
        self.holder = holder
        self.lease = timedelta(seconds=lease)
        self.preload = job.preload
        self._timing = timing or TaskTiming()
        self._backoff = replace(BACKOFF, jitter=jitter)
        self._retry_backoff = replace(UNREACHABLE, jitter=jitter)
        self._meter = TaskMeter(store.service, kind, clock)
        self._wake = asyncio.Event()
        self._slots = Slots(job.concurrency, on_free=self._wake.set)
        self._is_running = False
        """Whether claims are started; after the stop they wait for the end of their lease."""
        self._group = GroupCommit(store)
        store.on_commit(self._on_commit)
        store.on_unknown(self._wake.set)

    async def run(self) -> None:
        """Claim and work until cancelled; running workers are cancelled then."""
        heartbeat = Heartbeat(self._slots, self._store, clock=self._clock, lease=self.lease)
        beating = asyncio.create_task(heartbeat.run())
        try:
            self._is_running = True
            with self._store.eager_claims(self._kind, self):
                await self._poll()
        finally:
            self._is_running = False
            running = list(self._slots.running)
            for task in (beating, *running):
                task.cancel()
            await asyncio.gather(beating, *running, return_exceptions=True)
            await self._group.idle()

    def reserve(self, wanted: int) -> tuple[int, datetime]:
        """Reserve up to ``wanted`` slots for eager claims; return how many, and the time."""
        return self._slots.reserve(wanted), self._clock.now()

    def release(self) -> None:
        """Give back one reserved slot."""
        self._slots.release()

    async def _poll(self) -> None:
        """Claim and start due tasks whenever there may be some."""
        failures = 0
        while True:
            self._wake.clear()
            try:
                if not await self._start_due():
                    await self._idle()
                failures = 0
            except (Conflict, StoreUnavailable) as error:
                failures += 1
                if failures == 1:
                    log.warning("tasks_not_claimed", error=str(error))
                await self._clock.sleep(self._retry_backoff.after(failures))

    async def _start_due(self) -> bool:
        """Claim and start due tasks; return whether there were any."""
        asked = self._clock.now()
        claimed = await self._claim()
        for claim, preloaded in claimed:
            self._start(claim, preloaded, asked)
        return bool(claimed)

    def _start(self, claim: Claim, preloaded: Any, asked: datetime) -> None:
        task = asyncio.create_task(self._work(claim, preloaded))
        self._slots.occupy(task, Lease(claim, asked + self.lease))

    async def _claim(self) -> list[tuple[Claim, Any]]:
        slots = self._slots
        wanted = slots.claimable
        slots.short = not wanted
        if not wanted:
            return []
        async with self._store.reading() as tx:
            due = await tx.tasks.next_due(self._kind)
            if due is None or parse_time(due) > tx.now:
                return []

        async def claim(tx: StoreTransaction) -> list[tuple[Claim, Any]]:
            claims = await tx.tasks.claim(
                self._kind, holder=self.holder, lease=self.lease, limit=wanted
            )
            preloaded: Mapping[str, Any] = {}
            if self.preload is not None and claims:
                preloaded = await self.preload([claim.name for claim in claims], tx)
            return [(claim, preloaded.get(claim.name)) for claim in claims]

        slots.reserve(wanted)
        try:
            claimed = await self._store.transact(claim)
        finally:
            slots.release(wanted)
        slots.short = len(claimed) == wanted
        return claimed

    async def _work(self, claim: Claim, preloaded: Any) -> None:
        context = bind(task=claim.kind, task_name=claim.name, epoch=claim.epoch)
        with context, self._meter.turn() as turn:
            try:
                await self._job.worker(Work(claim, self._group, preloaded))
            except Fenced:
                turn.outcome = "fenced"
                log.warning("task_fenced")
            except StoreUnavailable as error:
                turn.outcome = "retried"
                log.warning("task_interrupted", error=str(error))
                await self._give_back(claim, after=0.0)
            except (Retry, Conflict) as error:
                turn.outcome = "retried"
                await self._give_back(claim, after=getattr(error, "after", 0.0))
            except Exception:
                turn.outcome = "failed"
                log.exception("task_failed", attempts=claim.attempts)
                await self._give_back(claim, after=self._backoff.after(claim.attempts))

    async def _give_back(self, claim: Claim, *, after: float) -> None:
        async def release(tx: StoreTransaction) -> None:
            await tx.tasks.finish(claim, again=tx.now + timedelta(seconds=after))

        failures = 0
        while True:
            try:
                with suppress(Fenced):
                    await self._store.transact(release)
            except StoreUnavailable:
                # The heartbeat cancels this once the lease has ended: others may hold it then.
                failures += 1
                await self._clock.sleep(self._retry_backoff.after(failures))
            else:
                return

    def _on_commit(self, result: CommitResult) -> None:
        for eager in result.claimed:
            if eager.target is self:
                self._slots.release()
                if self._is_running:
                    self._start(eager.claim, eager.preloaded, eager.asked)
        if self._kind in result.scheduled:
            self._wake.set()

    async def _idle(self) -> None:
        wait = self._timing.idle
        async with self._store.reading() as tx:
            due = await tx.tasks.next_due(self._kind)
            if due is not None and self._slots.claimable:
                soon = (parse_time(due) - tx.now).total_seconds()
                wait = min(wait, max(self._timing.least, soon))
        await wait_for_event(self._wake, seconds=wait)
