"""One transaction over a batch of records: dispatch what can be handled, keep the rest."""

from collections.abc import Awaitable, Callable, Sequence

from busbar.kernel.clock import Clock
from busbar.kernel.errors import BusbarError
from busbar.messages import topics
from busbar.messages.envelope import Envelope, Unreadable
from busbar.runtime.consume.batch import BatchItem, BatchResult, Offsets
from busbar.runtime.consume.breaker import Breaker
from busbar.runtime.consume.dead_letters import DeadLetterReason, DeadLetters
from busbar.runtime.consume.dispatch import Dispatcher, Readable
from busbar.runtime.consume.parking import Parking, ordering_key_of
from busbar.runtime.consume.service import Service
from busbar.runtime.core import encoding
from busbar.runtime.core.bus import Record
from busbar.runtime.store import StoreTransaction
from busbar.runtime.telemetry.logs import get_logger

log = get_logger()


class TooManyFailures(BusbarError):
    """The breaker is open: the consumer stops before it takes another failure."""


class BatchHandler:
    """Handles batches of one service inside transactions that the engine begins."""

    def __init__(
        self,
        service: Service,
        *,
        dispatcher: Dispatcher,
        dead_letters: DeadLetters,
        parking: Parking,
        breaker: Breaker,
        clock: Clock,
        offsets: Offsets,
    ) -> None:
        """Handle records from ``offsets`` on, which the engine keeps up to date."""
        self._service = service
        self._dispatcher = dispatcher
        self._dead_letters = dead_letters
        self._parking = parking
        self._breaker = breaker
        self._clock = clock
        self._offsets = offsets

    async def handle(self, items: Sequence[BatchItem], tx: StoreTransaction) -> BatchResult:
        """Handle ``items``, less those that the stored offsets are past.

        Raises:
            Conflict: a partition was moved by another process.
            TooManyFailures: the failures of the batch open the breaker.
        """
        fresh = [item for item in items if not self._is_past(item.record)]
        result = BatchResult(await self._advance(tx, fresh))
        readable = await self._read(tx, fresh, result)
        self._check_breaker(result)
        counts = await self._dispatcher.handle(tx, readable)
        result.handled = counts.handled
        if self._service.record_handler is not None:
            result.outcomes["handled"] = len(fresh) - result.outcomes.total()
            result.handled += len(readable)
            return result
        result.outcomes.update(
            handled=counts.handled, skipped=counts.skipped, repeated=counts.repeated
        )
        return result

    def giving_up(
        self, item: BatchItem, reason: DeadLetterReason
    ) -> Callable[[StoreTransaction], Awaitable[BatchResult]]:
        """Return a transaction that keeps ``item`` as a dead letter for ``reason``."""

        async def give_up(tx: StoreTransaction) -> BatchResult:
            if self._is_past(item.record):
                return BatchResult({})
            result = BatchResult(await self._advance(tx, [item]))
            result.failed = int(await self._keep(tx, item, reason, result))
            self._check_breaker(result)
            return result

        return give_up

    async def _read(
        self, tx: StoreTransaction, fresh: Sequence[BatchItem], result: BatchResult
    ) -> list[Readable]:
        """Return the events to dispatch; park, skip or dead-letter the other records."""
        parked = set(await self._parking.among(tx, [item.record for item in fresh]))
        readable: list[Readable] = []
        for item in fresh:
            if parked and not _is_refused(item) and ordering_key_of(item.record) in parked:
                whole = item if item.content else BatchItem(item.record, encoding.read(item.record))
                if not await self._dispatcher.admits(tx, whole.record, whole.envelope):
                    result.outcomes["handled"] += 1
                    continue
                await self._parking.keep_behind(tx, whole.record, whole.envelope)
                result.outcomes["waiting"] += 1
                continue
            if item.content is None:
                result.outcomes["skipped"] += 1
                continue
            if self._service.record_handler is not None:
                await self._service.record_handler(item.record, item.content, tx)
            elif reason := self._unhandleable(item.record, item.content):
                if await self._keep(tx, item, reason, result):
                    parked.add(ordering_key_of(item.record))
                    result.failed += 1
                continue
            if isinstance(item.content, Envelope):
                readable.append(Readable(item.record, item.content))
        return readable

    def _unhandleable(
        self, record: Record, content: Envelope | Unreadable
    ) -> DeadLetterReason | None:
        if isinstance(content, Unreadable):
            return DeadLetterReason(content.code, content.detail)
        return self._dispatcher.unknown_version(Readable(record, content))

    async def _keep(
        self,
        tx: StoreTransaction,
        item: BatchItem,
        reason: DeadLetterReason,
        result: BatchResult,
    ) -> bool:
        """Keep a record that cannot be handled; return whether its ordering key is parked.

        An invalid intent says nothing about the next one of its producer, so its ordering key goes
        on. A fact parks its key: skipping one would corrupt the projection.
        """
        is_invalid_intent = (
            item.record.topic in topics.INTENTS and reason.reason != "handler_failed"
        )
        if is_invalid_intent:
            await self._dead_letters.keep(tx, item.record, reason, item.envelope)
            log.warning("record_dead_lettered", reason=reason.reason, topic=item.record.topic)
            result.outcomes["dead_lettered"] += 1
            return False
        await self._parking.park(tx, item.record, reason, item.envelope)
        result.outcomes["parked"] += 1
        return True

    def _check_breaker(self, result: BatchResult) -> None:
        now = self._clock.now().timestamp()
        verdict = self._breaker.verdict(handled=result.handled, failed=result.failed, now=now)
        if verdict is not None:
            raise TooManyFailures(verdict)

    async def _advance(self, tx: StoreTransaction, items: Sequence[BatchItem]) -> Offsets:
        reached: Offsets = {}
        for item in items:
            reached[item.partition] = item.record.offset + 1
        moves = {place: (self._offsets.get(place), offset) for place, offset in reached.items()}
        await tx.inbox.advance(self._service.name, moves)
        return reached

    def _is_past(self, record: Record) -> bool:
        return record.offset < self._offsets.get((record.topic, record.partition), 0)


def _is_refused(item: BatchItem) -> bool:
    """Return whether it is an intent that cannot be read, whose order does not matter."""
    return isinstance(item.content, Unreadable) and item.record.topic in topics.INTENTS
