"""The consume engine: a batch of records becomes one transaction, or as many as it takes.

Inbox marks, consumed offsets, appended events and whatever else a handler saves commit together
(law 1), so a record that is delivered again changes nothing, and a process that lost its partition
cannot commit. A message that fails parks its own ordering key; the partition moves on (law 8).
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from busbar.kernel.clock import Clock
from busbar.kernel.errors import BusbarError, Conflict, Reject, Retry
from busbar.messages import topics
from busbar.messages.envelope import Envelope, Unreadable
from busbar.runtime.consume.batch import BatchItem, BatchResult, Offsets
from busbar.runtime.consume.breaker import Breaker
from busbar.runtime.consume.dead_letters import DeadLetterReason, DeadLetters
from busbar.runtime.consume.dispatch import Dispatcher, Readable
from busbar.runtime.consume.parking import Parking, ordering_key_of
from busbar.runtime.consume.service import Choice, Service
from busbar.runtime.core import encoding
from busbar.runtime.core.backoff import Backoff, Chance, chance
from busbar.runtime.core.bus import Partition, Record, in_parts
from busbar.runtime.store import Store, StoreTransaction, StoreUnavailable
from busbar.runtime.telemetry.logs import get_logger
from busbar.runtime.telemetry.meters import ConsumerMeter

log = get_logger()

STORE_BACKOFF = Backoff(first=0.1, longest=10.0)
HANDLER_BACKOFF = Backoff(first=0.2, longest=10.0)
"""A message that fails holds up its partition meanwhile; parking takes over from there."""

DRAIN_SECONDS = 5.0
"""How long a partition that is taken away waits for the transaction in hand."""

Result = TypeVar("Result")


class _Stopped(BusbarError):
    """Too much fails: the consumer stops here, before it takes one more failure."""


class _Left(BusbarError):
    """Nothing of what is waited for is ours any more."""


class Engine:
    """Feeds one service from the bus."""

    def __init__(
        self,
        service: Service,
        store: Store,
        dead_letters: DeadLetters,
        *,
        clock: Clock,
        attempts: int,
        breaker: Breaker | None = None,
        chance: Chance = chance,
    ) -> None:
        """Handle records for ``service``; a failing one is tried ``attempts`` times, then parked.

        ``breaker`` says when so much fails that the consumer has to stop. Waits differ by
        ``chance``.
        """
        self._service = service
        self._store = store
        self._dead_letters = dead_letters
        self._clock = clock
        self._attempts = attempts
        self._handler_backoff = replace(HANDLER_BACKOFF, chance=chance)
        self._store_backoff = replace(STORE_BACKOFF, chance=chance)
        self._breaker = breaker or Breaker()
        self._dispatcher = Dispatcher(service, dead_letters)
        self.meter = ConsumerMeter(service.name, clock)
        self.parking = Parking(service.name, dead_letters, self._dispatcher.again, chance=chance)
        self._offsets: Offsets = {}
        self._gone: set[Partition] = set()
        self._stopping = False
        self._turn = asyncio.Lock()
        self._leaving = asyncio.Event()
        self._stopped: str | None = None
        self._away: str | None = None

    @property
    def stalled(self) -> str | None:
        """Why nothing moves just now, for readiness; None while all is well."""
        return self._stopped or self._away

    @property
    def stopped(self) -> bool:
        """Whether so much failed that it stopped for good."""
        return self._stopped is not None

    @property
    def skipped(self) -> int:
        """How many events were of types that nobody here asked for."""
        return self._dispatcher.skipped

    # -- what the bus calls ---------------------------------------------------------------------

    async def positions(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """The stored offsets of ``partitions``; called when they are assigned."""
        await self._reload()
        self._gone.difference_update(partitions)
        return {p: self._offsets[p] for p in partitions if p in self._offsets}

    async def handle_batch(self, records: Sequence[Record]) -> Mapping[Partition, int]:
        """Handle ``records``; returns when each is committed, kept or known already.

        What is not done when its partition is taken away is left to whoever has it then. Tells
        how far the partitions of ``records`` have come.
        """
        with self.meter.batch(records):
            is_wanted = await self._choice(records)
            for part in in_parts(records):
                await self._settle([self._item(record, is_wanted) for record in part])
        touched = {(record.topic, record.partition) for record in records}
        return {p: self._offsets[p] for p in touched if p in self._offsets}

    async def _choice(self, records: Sequence[Record]) -> Choice:
        """Which facts among ``records`` the service wants to be read."""
        chooser = self._service.chooser
        if chooser is None:
            return lambda _: True

        async def choose() -> Choice:
            async with self._store.reading() as tx:
                return await chooser(records, tx)

        return await self._patiently(choose)

    def _item(self, record: Record, is_wanted: Choice) -> BatchItem:
        unread = self._dispatcher.passes_over(record, is_wanted)
        return BatchItem(record, None if unread else encoding.read(record))

    async def revoke(self, partitions: Collection[Partition]) -> None:
        """Finish the transaction in hand, and handle nothing more of ``partitions``.

        A transaction that takes too long is left to the store: it can only commit if nobody else
        has moved the offsets (law 1).
        """
        self._gone.update(partitions)
        await self._drain()

    async def stop(self) -> None:
        """Finish the transaction in hand, and handle nothing more."""
        self._stopping = True
        await self._drain()

    async def _drain(self) -> None:
        self._leaving.set()  # wakes whoever waits now, and nobody who waits later
        self._leaving.clear()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                async with self._turn:
                    return
        except TimeoutError:
            log.warning("drain_timed_out", seconds=DRAIN_SECONDS)

    # -- until it is settled --------------------------------------------------------------------

    async def _settle(self, items: Sequence[BatchItem]) -> None:
        why: DeadLetterReason | None = None
        failures = conflicts = 0
        while items := self._ours(items):
            try:
                await self._transact(items, why)
            except _Left:
                return None
            except _Stopped as stop:
                if len(items) > 1:
                    return await self._bisect(items)
                await self._stand_still(str(stop))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is dealt with
                if isinstance(error, Conflict) and conflicts < self._attempts:
                    conflicts += 1
                    self.meter.retried("conflict")
                    await self._reload()
                    continue
                if len(items) > 1:
                    return await self._bisect(items)
                failures += 1
                why = why or self._verdict(error, failures)
                if why is None or failures > self._attempts:
                    self.meter.retried("handler")
                    await self._rest(self._wait(error, failures))
            else:
                return None
        return None

    async def _transact(self, items: Sequence[BatchItem], why: DeadLetterReason | None) -> None:
        """Handle ``items``, or give the one of them up for ``why``."""
        body = partial(self._handle, items) if why is None else self._giving_up(items[0], why)

        async def act() -> BatchResult:
            async with self._turn:
                return await self._store.transact(body)

        done = await self._patiently(act, lambda: bool(self._ours(items)))
        self._offsets.update(done.moved)
        now = self._clock.now().timestamp()
        self._breaker.note(handled=done.handled, failed=done.failed, now=now)
        self.meter.settled(done.outcomes)

    def _ours(self, items: Sequence[BatchItem]) -> Sequence[BatchItem]:
        """Those of ``items`` that are to be handled here still."""
        if self._stopping:
            return ()
        if not self._gone:
            return items
        return [item for item in items if item.partition not in self._gone]

    async def _patiently(
        self, act: Callable[[], Awaitable[Result]], is_wanted: Callable[[], bool] = lambda: True
    ) -> Result:
        """Do ``act`` when the store is there: nothing is given up because it is away.

        Raises:
            _Left: it is not wanted any more.
        """
        failures = 0
        while True:
            away = None
            try:
                return await act()
            except StoreUnavailable as error:
                away = f"store: {type(error).__name__}"
            finally:
                self._away = away
            failures += 1
            self.meter.retried("store_away")
            wait = self._store_backoff.after(failures)
            log.warning("store_unavailable", why=away, again_in=round(wait, 3))
            await self._rest(wait)
            if not is_wanted():
                raise _Left("nobody waits for it here any more")

    async def _bisect(self, items: Sequence[BatchItem]) -> None:
        """Find the record that fails by handling each half alone, in order."""
        middle = len(items) // 2
        await self._settle(items[:middle])
        await self._settle(items[middle:])

    def _verdict(self, error: Exception, failures: int) -> DeadLetterReason | None:
        """Why to give the record up, or None to try it again."""
        if isinstance(error, Reject):
            return DeadLetterReason(error.code, error.detail)
        if failures < self._attempts:
            log.warning("handler_failed", error=type(error).__name__, attempt=failures)
            return None
        log.error("handler_given_up", attempts=failures, exc_info=error)
        detail = f"{self._service.name} failed {failures} times with {type(error).__name__}"
        return DeadLetterReason("handler_failed", detail)

    def _wait(self, error: Exception, failures: int) -> float:
        return error.after if isinstance(error, Retry) else self._handler_backoff.after(failures)

    async def _rest(self, seconds: float) -> None:
        """Wait, or less if partitions are taken away meanwhile."""
        waits = [
            asyncio.ensure_future(self._clock.sleep(seconds)),
            asyncio.ensure_future(self._leaving.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    async def _stand_still(self, why: str) -> None:
        """Handle nothing until partitions are taken away: somebody has to look at this."""
        self._stopped = (
            f"stopped, because {why}: see the log for why, mend it and start the service again"
        )
        log.error("consumer_stopped", why=why)
        await self._leaving.wait()

    # -- one transaction ------------------------------------------------------------------------

    async def _handle(self, items: Sequence[BatchItem], tx: StoreTransaction) -> BatchResult:
        fresh = [item for item in items if not self._is_behind(item.record)]
        done = BatchResult(await self._advance(tx, fresh))
        readable = await self._read(tx, fresh, done)
        self._bear(done)
        skipped = self._dispatcher.skipped
        done.handled = await self._dispatcher.handle(tx, readable)
        if self._service.record is not None:
            done.outcomes["handled"] = len(fresh) - done.outcomes.total()
            done.handled += len(readable)
            return done
        skipped = self._dispatcher.skipped - skipped
        repeated = len(readable) - done.handled - skipped
        done.outcomes.update(handled=done.handled, skipped=skipped, repeated=repeated)
        return done

    async def _read(
        self, tx: StoreTransaction, fresh: Sequence[BatchItem], done: BatchResult
    ) -> list[Readable]:
        """What can be dispatched; the rest is kept, each as it has to be."""
        parked = set(await self.parking.among(tx, [item.record for item in fresh]))
        readable: list[Readable] = []
        for item in fresh:
            if parked and ordering_key_of(item.record) in parked:
                whole = item if item.content else BatchItem(item.record, encoding.read(item.record))
                await self.parking.keep_behind(tx, whole.record, whole.envelope)
                done.outcomes["waiting"] += 1
                continue
            if item.content is None:
                self._dispatcher.skipped += 1
                done.outcomes["skipped"] += 1
                continue
            if self._service.record is not None:
                await self._service.record(item.record, item.content, tx)
            elif why := self._unhandleable(item.record, item.content):
                if await self._give_up(tx, item, why, done):
                    parked.add(ordering_key_of(item.record))
                    done.failed += 1
                continue
            if isinstance(item.content, Envelope):
                readable.append(Readable(item.record, item.content))
        return readable

    def _unhandleable(
        self, record: Record, content: Envelope | Unreadable
    ) -> DeadLetterReason | None:
        if isinstance(content, Unreadable):
            return DeadLetterReason(content.code, content.detail)
        return self._dispatcher.strange(Readable(record, content))

    async def _give_up(
        self, tx: StoreTransaction, item: BatchItem, why: DeadLetterReason, done: BatchResult
    ) -> bool:
        """Keep what cannot be handled; whether its ordering key has to wait for it.

        What a producer got wrong says nothing about what it sends next. A fact is another thing:
        whoever skips one goes by a state that never was.
        """
        is_theirs = item.record.topic in topics.INTENTS and why.reason != "handler_failed"
        if is_theirs:
            await self._dead_letters.keep(tx, item.record, why, item.envelope)
            log.warning("record_dead_lettered", reason=why.reason, topic=item.record.topic)
            done.outcomes["dead_lettered"] += 1
            return False
        await self.parking.park(tx, item.record, why, item.envelope)
        done.outcomes["parked"] += 1
        return True

    def _giving_up(
        self, item: BatchItem, why: DeadLetterReason
    ) -> Callable[[StoreTransaction], Awaitable[BatchResult]]:
        async def give_up(tx: StoreTransaction) -> BatchResult:
            if self._is_behind(item.record):
                return BatchResult({})
            done = BatchResult(await self._advance(tx, [item]))
            done.failed = int(await self._give_up(tx, item, why, done))
            self._bear(done)
            return done

        return give_up

    def _bear(self, done: BatchResult) -> None:
        """Go on if so many failures can be borne.

        Raises:
            _Stopped: they cannot.
        """
        now = self._clock.now().timestamp()
        why = self._breaker.verdict(handled=done.handled, failed=done.failed, now=now)
        if why is not None:
            raise _Stopped(why)

    async def _advance(self, tx: StoreTransaction, items: Sequence[BatchItem]) -> Offsets:
        reached: Offsets = {}
        for item in items:
            reached[item.partition] = item.record.offset + 1
        moves = {place: (self._offsets.get(place), offset) for place, offset in reached.items()}
        await tx.inbox.advance(self._service.name, moves)
        return reached

    def _is_behind(self, record: Record) -> bool:
        return record.offset < self._offsets.get((record.topic, record.partition), 0)

    async def _reload(self) -> None:
        async def offsets() -> Offsets:
            async with self._store.reading() as tx:
                return await tx.inbox.offsets(self._service.name)

        self._offsets = await self._patiently(offsets)
