"""The consume engine turns batches of records into transactions.

Inbox rows, consumed offsets, appended events and everything else a handler saves commit together
(law 1), so that a redelivered record changes nothing, and a process that lost its partition cannot
commit. A message that fails parks its own ordering key; the partition moves on (law 8).
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from busbar.kernel.clock import Clock
from busbar.kernel.errors import BusbarError, Conflict, Reject, Retry
from busbar.runtime.consume.batch import BatchItem, BatchResult, Offsets
from busbar.runtime.consume.batch_handler import BatchHandler, TooManyFailures
from busbar.runtime.consume.breaker import Breaker
from busbar.runtime.consume.dead_letters import DeadLetterReason, DeadLetters
from busbar.runtime.consume.dispatch import Dispatcher
from busbar.runtime.consume.parking import Parking
from busbar.runtime.consume.service import RecordFilter, Service
from busbar.runtime.core import encoding
from busbar.runtime.core.backoff import UNREACHABLE, Backoff, Jitter, jitter
from busbar.runtime.core.bus import Partition, Record, in_parts
from busbar.runtime.store import Store, StoreUnavailable
from busbar.runtime.telemetry.logs import get_logger
from busbar.runtime.telemetry.meters import ConsumerMeter

log = get_logger()

HANDLER_BACKOFF = Backoff(first=0.2, longest=10.0)
"""A failing message blocks its partition meanwhile; parking takes over from there."""

DRAIN_SECONDS = 5.0
"""How long a revoked partition waits for the current transaction."""

Result = TypeVar("Result")


class _Revoked(BusbarError):
    """The partitions of the batch were revoked while it waited."""


@dataclass(slots=True)
class _Attempts:
    """The attempts made at a batch so far."""

    failures: int = 0
    conflicts: int = 0
    reason: DeadLetterReason | None = None
    """Set once the record is given up: the next transaction keeps it as a dead letter."""


class Engine:
    """The consumer of one service."""

    def __init__(
        self,
        service: Service,
        store: Store,
        dead_letters: DeadLetters,
        *,
        clock: Clock,
        attempts: int,
        breaker: Breaker | None = None,
        jitter: Jitter = jitter,
    ) -> None:
        """Handle records for ``service``; a failing one is tried ``attempts`` times, then parked.

        ``breaker`` decides when so many records fail that the consumer stops. ``jitter`` adds
        jitter to waits.
        """
        self._service = service
        self._store = store
        self._clock = clock
        self._attempts = attempts
        self._handler_backoff = replace(HANDLER_BACKOFF, jitter=jitter)
        self._store_backoff = replace(UNREACHABLE, jitter=jitter)
        self._breaker = breaker or Breaker()
        self._dispatcher = Dispatcher(service, dead_letters)
        self.meter = ConsumerMeter(service.name, clock)
        self.parking = Parking(
            service.name, dead_letters, self._dispatcher.handle_kept, jitter=jitter
        )
        self._offsets: Offsets = {}
        self._handler = BatchHandler(
            service,
            dispatcher=self._dispatcher,
            dead_letters=dead_letters,
            parking=self.parking,
            breaker=self._breaker,
            clock=clock,
            offsets=self._offsets,
        )
        self._revoked: set[Partition] = set()
        self._stopping = False
        self._transaction = asyncio.Lock()
        self._revoking = asyncio.Event()
        self._stop_reason: str | None = None
        self._store_problem: str | None = None

    @property
    def stalled(self) -> str | None:
        """The reason why nothing is consumed now, for readiness; None if records are consumed."""
        return self._stop_reason or self._store_problem

    @property
    def stopped(self) -> bool:
        """True if the breaker has stopped the consumer permanently."""
        return self._stop_reason is not None

    # -- called by the bus ----------------------------------------------------------------------

    async def positions(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """Return the stored offsets of ``partitions``; called when they are assigned."""
        await self._reload()
        self._revoked.difference_update(partitions)
        return {p: self._offsets[p] for p in partitions if p in self._offsets}

    async def handle_batch(self, records: Sequence[Record]) -> Mapping[Partition, int]:
        """Handle ``records``; return when each is committed, kept as a dead letter, or known.

        What is left when its partition is revoked is for the next owner. Returns the next offsets
        of the partitions of ``records``.
        """
        with self.meter.batch(records):
            is_wanted = await self._record_filter(records)
            for part in in_parts(records):
                await self._settle([self._item(record, is_wanted) for record in part])
        touched = {(record.topic, record.partition) for record in records}
        return {p: self._offsets[p] for p in touched if p in self._offsets}

    async def _record_filter(self, records: Sequence[Record]) -> RecordFilter:
        """Return the filter of facts that the service wants to read among ``records``."""
        filter_factory = self._service.filter_factory
        if filter_factory is None:
            return lambda _: True

        async def make() -> RecordFilter:
            async with self._store.reading() as tx:
                return await filter_factory(records, tx)

        return await self._when_store_answers(make)

    def _item(self, record: Record, is_wanted: RecordFilter) -> BatchItem:
        unread = self._dispatcher.is_unsubscribed(record, is_wanted)
        return BatchItem(record, None if unread else encoding.read(record))

    async def revoke(self, partitions: Collection[Partition]) -> None:
        """Finish the current transaction, and handle nothing more of ``partitions``.

        A transaction that takes too long is left to the store: it only commits if no other process
        has moved the offsets (law 1).
        """
        self._revoked.update(partitions)
        await self._drain()

    async def stop(self) -> None:
        """Finish the current transaction, and handle nothing more."""
        self._stopping = True
        await self._drain()

    async def _drain(self) -> None:
        self._revoking.set()  # wakes those that wait now, and none that wait later
        self._revoking.clear()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                async with self._transaction:
                    return
        except TimeoutError:
            log.warning("drain_timed_out", seconds=DRAIN_SECONDS)

    # -- until a batch is settled ---------------------------------------------------------------

    async def _settle(self, items: Sequence[BatchItem]) -> None:
        """Retry ``items`` until they are committed, or kept, or their partitions are revoked."""
        attempts = _Attempts()
        while items := self._owned(items):
            try:
                return await self._transact(items, attempts.reason)
            except _Revoked:
                return None
            except Exception as error:  # noqa: BLE001 - whatever it is, it is dealt with
                if isinstance(error, Conflict) and attempts.conflicts < self._attempts:
                    attempts.conflicts += 1
                    self.meter.retried("conflict")
                    await self._reload()
                elif len(items) > 1:
                    return await self._bisect(items)
                elif isinstance(error, TooManyFailures):
                    await self._stand_still(str(error))
                else:
                    await self._back_off(error, attempts)
        return None

    async def _transact(self, items: Sequence[BatchItem], reason: DeadLetterReason | None) -> None:
        """Handle ``items``, or give up the only one of them for ``reason``."""
        handler = self._handler
        give_up = None if reason is None else handler.giving_up(items[0], reason)
        body = give_up or partial(handler.handle, items)

        async def act() -> BatchResult:
            async with self._transaction:
                return await self._store.transact(body)

        result = await self._when_store_answers(act, lambda: bool(self._owned(items)))
        self._offsets.update(result.moved)
        now = self._clock.now().timestamp()
        self._breaker.note(handled=result.handled, failed=result.failed, now=now)
        self.meter.settled(result.outcomes)

    def _owned(self, items: Sequence[BatchItem]) -> Sequence[BatchItem]:
        """Return those of ``items`` whose partitions are not revoked."""
        if self._stopping:
            return ()
        if not self._revoked:
            return items
        return [item for item in items if item.partition not in self._revoked]

    async def _when_store_answers(
        self, act: Callable[[], Awaitable[Result]], is_wanted: Callable[[], bool] = lambda: True
    ) -> Result:
        """Retry ``act`` while the store is unreachable; that never counts as a failure.

        Raises:
            _Revoked: ``is_wanted`` is false by now.
        """
        failures = 0
        while True:
            problem = None
            try:
                return await act()
            except StoreUnavailable as error:
                problem = str(error)
            finally:
                self._store_problem = problem
            failures += 1
            self.meter.retried("store_unreachable")
            wait = self._store_backoff.after(failures)
            if failures == 1:
                log.warning("store_unavailable", why=problem)
            await self._rest(wait)
            if not is_wanted():
                raise _Revoked("the partitions of this batch were revoked")

    async def _bisect(self, items: Sequence[BatchItem]) -> None:
        """Isolate the record that fails by handling each half by itself, in order."""
        middle = len(items) // 2
        await self._settle(items[:middle])
        await self._settle(items[middle:])

    async def _back_off(self, error: Exception, attempts: _Attempts) -> None:
        """Wait before the next attempt, or set the reason for which the record is given up."""
        attempts.failures += 1
        attempts.reason = attempts.reason or self._verdict(error, attempts.failures)
        if attempts.reason is None or attempts.failures > self._attempts:
            self.meter.retried("handler")
            backoff = self._handler_backoff.after(attempts.failures)
            await self._rest(error.after if isinstance(error, Retry) else backoff)

    def _verdict(self, error: Exception, failures: int) -> DeadLetterReason | None:
        """Return the reason to give the record up, or None to try it again."""
        if isinstance(error, Reject):
            return DeadLetterReason(error.code, error.detail)
        if failures < self._attempts:
            log.warning("handler_failed", error=type(error).__name__, attempt=failures)
            return None
        if isinstance(error, Retry):
            log.warning("handler_given_up", attempts=failures, why=str(error))
            detail = f"{self._service.name} has waited {failures} times: {error}"
            return DeadLetterReason("handler_failed", detail)
        log.error("handler_given_up", attempts=failures, exc_info=error)
        detail = f"{self._service.name} failed {failures} times with {type(error).__name__}"
        return DeadLetterReason("handler_failed", detail)

    async def _rest(self, seconds: float) -> None:
        """Wait ``seconds``, or until partitions are revoked."""
        waits = [
            asyncio.ensure_future(self._clock.sleep(seconds)),
            asyncio.ensure_future(self._revoking.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    async def _stand_still(self, reason: str) -> None:
        """Handle nothing until partitions are revoked: an operator has to look at this."""
        self._stop_reason = (
            f"stopped, because {reason}: find the cause in the log, fix it and restart the service"
        )
        log.error("consumer_stopped", why=reason)
        await self._revoking.wait()

    async def _reload(self) -> None:
        async def offsets() -> Offsets:
            async with self._store.reading() as tx:
                return await tx.inbox.offsets(self._service.name)

        stored = await self._when_store_answers(offsets)
        # In place: the batch handler reads the same mapping.
        self._offsets.clear()
        self._offsets.update(stored)
