"""The consume engine: a batch of records becomes one transaction, or as many as it takes.

Inbox marks, consumed offsets, appended events and whatever else a handler saves commit together
(law 1), so a record that is delivered again changes nothing, and a process that lost its partition
cannot commit. A record that can never be handled is dead-lettered; the partition moves on.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from busbar.kernel.clock import Clock
from busbar.kernel.errors import Conflict, Reject, Retry
from busbar.messages.envelope import Envelope, Unreadable
from busbar.runtime import wire
from busbar.runtime.bus import Partition, Record, in_parts
from busbar.runtime.dead_letters import DeadLetters, Why
from busbar.runtime.dispatch import Dispatcher, Readable
from busbar.runtime.logs import get_logger
from busbar.runtime.service import Service
from busbar.runtime.store import STORE_AWAY, Store, Transaction

log = get_logger()

LONGEST_WAIT = 10.0
Moved = dict[Partition, int]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Item:
    """A record and what the codec made of it."""

    record: Record
    content: Envelope | Unreadable


class Engine:
    """Feeds one service from the bus."""

    def __init__(
        self, service: Service, store: Store, letters: DeadLetters, *, clock: Clock, attempts: int
    ) -> None:
        """Handle records for ``service``; a failing one is tried ``attempts`` times."""
        self._service = service
        self._store = store
        self._letters = letters
        self._clock = clock
        self._attempts = attempts
        self._dispatcher = Dispatcher(service, letters)
        self._offsets: dict[Partition, int] = {}
        self.stalled: str | None = None
        """Why nothing moves just now, for readiness; None while all is well."""

    async def positions(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """The stored offsets of ``partitions``; called when they are assigned."""
        await self._reload()
        return {p: self._offsets[p] for p in partitions if p in self._offsets}

    async def process(self, records: Sequence[Record]) -> None:
        """Handle ``records``; returns when each is committed, dead-lettered or known already."""
        for part in in_parts(records):
            await self._settle([_Item(record, wire.read(record)) for record in part])

    # -- until it is settled --------------------------------------------------------------------

    async def _settle(self, items: Sequence[_Item]) -> None:
        body: Callable[[Transaction], Awaitable[Moved]] = partial(self._handle, items)
        failures = conflicts = 0
        while True:
            try:
                self._offsets.update(await self._patiently(partial(self._store.transact, body)))
            except Exception as error:
                if isinstance(error, Conflict) and conflicts < self._attempts:
                    conflicts += 1
                    await self._reload()
                    continue
                if len(items) > 1:
                    await self._bisect(items)
                    return
                failures += 1
                why = self._verdict(error, failures)
                if why is None or failures > self._attempts:
                    await self._clock.sleep(_wait(error, failures))
                if why is not None:
                    log.exception("record_dead_lettered", reason=why.reason)
                    body = self._burying(items[0], why)
            else:
                return

    async def _patiently(self, act: Callable[[], Awaitable[Result]]) -> Result:
        """Do ``act`` when the store is there: nothing is given up because it is away."""
        again_in = 0.1
        while True:
            stalled = None
            try:
                return await act()
            except STORE_AWAY as error:
                stalled = f"store: {type(error).__name__}"
            finally:
                self.stalled = stalled
            log.warning("store_unavailable", why=stalled, again_in=again_in)
            await self._clock.sleep(again_in)
            again_in = min(again_in * 2, LONGEST_WAIT)

    async def _bisect(self, items: Sequence[_Item]) -> None:
        """Find the record that fails by handling each half alone, in order."""
        middle = len(items) // 2
        await self._settle(items[:middle])
        await self._settle(items[middle:])

    def _verdict(self, error: Exception, failures: int) -> Why | None:
        """Why to give the record up, or None to try it again."""
        if isinstance(error, Reject):
            return Why(error.code, error.detail)
        if failures < self._attempts:
            log.warning("handler_failed", error=type(error).__name__, attempt=failures)
            return None
        detail = f"{self._service.name} failed {failures} times with {type(error).__name__}"
        return Why("handler_failed", detail)

    # -- one transaction ------------------------------------------------------------------------

    async def _handle(self, items: Sequence[_Item], tx: Transaction) -> Moved:
        fresh = [item for item in items if not self._is_behind(item.record)]
        moved = await self._advance(tx, fresh)
        if self._service.record is not None:
            for item in fresh:
                await self._service.record(item.record, item.content, tx)
            return moved
        readable: list[Readable] = []
        for item in fresh:
            if isinstance(item.content, Unreadable):
                why = Why(item.content.code, item.content.detail)
                await self._letters.keep(tx, item.record, why, None)
                log.warning("record_dead_lettered", reason=why.reason, topic=item.record.topic)
            else:
                readable.append(Readable(item.record, item.content))
        await self._dispatcher.handle(tx, readable)
        return moved

    async def _advance(self, tx: Transaction, items: Sequence[_Item]) -> Moved:
        reached: Moved = {}
        for item in items:
            reached[item.record.topic, item.record.partition] = item.record.offset + 1
        for (topic, partition), next_offset in sorted(reached.items()):
            await tx.inbox.advance(
                self._service.name,
                topic,
                partition,
                expected=self._offsets.get((topic, partition)),
                next_offset=next_offset,
            )
        return reached

    def _burying(self, item: _Item, why: Why) -> Callable[[Transaction], Awaitable[Moved]]:
        envelope = item.content if isinstance(item.content, Envelope) else None

        async def bury(tx: Transaction) -> Moved:
            if self._is_behind(item.record):
                return {}
            moved = await self._advance(tx, [item])
            await self._letters.keep(tx, item.record, why, envelope)
            return moved

        return bury

    def _is_behind(self, record: Record) -> bool:
        return record.offset < self._offsets.get((record.topic, record.partition), 0)

    async def _reload(self) -> None:
        async def offsets() -> Moved:
            async with self._store.reading() as tx:
                return await tx.inbox.offsets(self._service.name)

        self._offsets = await self._patiently(offsets)


def _wait(error: Exception, failures: int) -> float:
    return (
        error.after if isinstance(error, Retry) else min(0.1 * 2 ** min(failures, 10), LONGEST_WAIT)
    )
