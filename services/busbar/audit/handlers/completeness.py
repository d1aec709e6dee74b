"""Compares the copy with Kafka and with the heads of relays, stream by stream.

Every stream of the copy is one partition of Kafka, so both are read side by side in the order of
their offsets. Then heads are verified, and the events of each relay, which are in order within each
stream, are merged by their sequence. Neither keeps more than some pages in memory.
"""

import heapq
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, Protocol

from busbar.audit.domain import (
    ChainCheck,
    Head,
    HeadCheck,
    PartitionComparison,
    Problems,
    Published,
    RelayReport,
    Report,
    Stored,
)
from busbar.audit.handlers.copy import RECORDS
from busbar.audit.handlers.heads import HEADS, service_keys, take_heads
from busbar.audit.handlers.reading import PAGE_BYTES
from busbar.kernel.ids import event_id
from busbar.messages import topics
from busbar.messages.delivery import HeadPublished
from busbar.messages.http import Progress
from busbar.runtime.core.bus import Partition
from busbar.runtime.outbox.events import GENESIS, event_digest, link
from busbar.runtime.store import Store, StoredEvent
from busbar.runtime.store.model.json import loads

CATCH_UP_SECONDS = 5.0
"""How long a check waits for the consumer, all in all, to catch up with the broker."""
CATCH_UP_CHECKS = 50

COMPARED_ROWS = 500
LINKED_ROWS = 100
"""Rows read of a stream at a time: a hundred streams are read side by side."""
REPORT_EVERY = 2000
"""Records between two reports of the progress."""

COMPARING = "records compared with Kafka"
VERIFYING = "heads verified"
CHAINING = "records checked against the digests of their services"


class BusReading(Protocol):
    """The bus from its beginning to the end that it had when reading began."""

    @property
    def ends(self) -> Mapping[Partition, int]:
        """The offset after the last one of every partition."""
        ...

    def batches(self) -> AsyncIterator[tuple[Partition, Sequence[Published]]]:
        """Yield every record, in batches of one partition, in the order of their offsets.

        All batches of a partition come before another one is begun, or with those of few others.
        """
        ...


class BusLog(Protocol):
    """The bus, which can be read as a whole."""

    def reading(self) -> AbstractAsyncContextManager[BusReading]:
        """Open the bus for reading; its end is where it ends now."""
        ...


async def completeness(store: Store, log: BusLog) -> Report:
    """Return the report of :func:`check`."""
    async for found in check(store, log):
        if isinstance(found, Report):
            return found
    raise RuntimeError("a check ends with its report")


async def check(store: Store, log: BusLog) -> AsyncIterator[Progress | Report]:
    """Compare the copy with the heads that relays published and with what Kafka has now.

    Yields the progress, and the report as the last item. Records stored before the bus is opened
    must be on the bus; records on the bus must be stored once the consumer has read that far. So
    records that arrive meanwhile are not reported missing.
    """
    early = await _streams(store)
    problems = Problems()
    async with log.reading() as bus:
        comparing = _Comparing(store, early, bus.ends, problems)
        async for progress in comparing.run(bus):
            yield progress
    heads = HeadCheck(await service_keys(store, await _streams(store)), problems)
    async for progress in _verify(store, early, heads):
        yield progress
    total = sum(head.sequence for head in heads.newest)
    relays: list[RelayReport] = []
    done = 0
    for head in heads.newest:
        chaining = _Chaining(store, head, comparing.streams_of[head.relay])
        async for checked in chaining.run():
            done += checked
            yield Progress(what=CHAINING, done=min(done, total), total=total)
        report, count = chaining.check.report(problems), heads.counts[head.relay]
        relays.append(replace(report, heads=count.heads, heads_verified=count.verified))
    yield Report(
        tuple(relays), tuple(problems.listed), more=problems.more, compared=comparing.compared
    )


async def _verify(
    store: Store, early: Mapping[str, int], heads: HeadCheck
) -> AsyncIterator[Progress]:
    total = sum(number for stream, number in early.items() if stream.startswith(HEADS))
    done = reported = 0
    async for read in take_heads(store, early, heads):
        done += read
        if done - reported >= REPORT_EVERY:
            reported = done
            yield Progress(what=VERIFYING, done=done, total=total)
    heads.close()


async def _streams(store: Store) -> dict[str, int]:
    async with store.reading() as tx:
        return await tx.log.streams(RECORDS)


class _Comparing:
    """Compares every partition with its stream; meanwhile finds which relays are in it."""

    def __init__(
        self,
        store: Store,
        early: Mapping[str, int],
        ends: Mapping[Partition, int],
        problems: Problems,
    ) -> None:
        self.streams_of: dict[str, set[str]] = defaultdict(set)
        self.compared = 0
        self._store = store
        self._early = early
        self._ends = ends
        self._problems = problems
        self._consumer = _Consumer(store)
        self._open: dict[Partition, tuple[_Walk, PartitionComparison]] = {}
        self._read = self._reported = 0

    async def run(self, bus: BusReading) -> AsyncIterator[Progress]:
        total = sum(self._early.values())
        last: dict[Partition, int] = {}
        async for partition, batch in bus.batches():
            await self._compare(partition, batch)
            last[partition] = batch[-1].offset
            for progress in self._progress(total):
                yield progress
            if last[partition] + 1 >= self._ends.get(partition, 0):
                await self._finish(partition)
        # Those that Kafka has no record of, or none at the end: it was deleted, or is a marker.
        for stream in self._early:
            partition = _partition(stream)
            if partition in self._open or partition not in last:
                await self._finish(partition)
                for progress in self._progress(total):
                    yield progress
        for partition in list(self._open):
            await self._finish(partition)

    def _progress(self, total: int) -> Iterator[Progress]:
        if self._read - self._reported >= REPORT_EVERY:
            self._reported = self._read
            yield Progress(what=COMPARING, done=min(self._read, total), total=total)

    def _opened(self, partition: Partition) -> "tuple[_Walk, PartitionComparison]":
        if partition not in self._open:
            topic, number = partition
            stream = f"{RECORDS}{topic}/{number}"
            comparison = PartitionComparison(
                topic, number, expires=topic in topics.INTENTS, problems=self._problems
            )
            self._open[partition] = _Walk(self, stream), comparison
        return self._open[partition]

    async def _compare(self, partition: Partition, batch: Sequence[Published]) -> None:
        walk, comparison = self._opened(partition)
        done = 0
        while done < len(batch):
            done += comparison.take(batch[done:], walk.rows)
            if done == len(batch) or await walk.more():
                continue
            if await self._consumer.reaches(partition, batch[-1].offset) and await walk.more():
                continue
            for published in batch[done:]:
                comparison.lack(published)
            done = len(batch)
        if comparison.absent:
            comparison.resolve(await self._elsewhere(partition, comparison.absent))

    async def _elsewhere(self, partition: Partition, offsets: Collection[int]) -> dict[int, str]:
        """Return the digests of records that were stored later than those that follow them."""
        place = f"{partition[0]}/{partition[1]}"
        ids = [event_id("audit", place, str(offset), 0) for offset in offsets]
        async with self._store.reading() as tx:
            found = await tx.log.by_id(ids)
        rows = [_stored(event, early=True) for event in found]
        return {row.offset: row.digest for row in rows}

    async def _finish(self, partition: Partition) -> None:
        walk, comparison = self._opened(partition)
        while walk.rows or await walk.more(until=self._early.get(walk.stream, 0)):
            comparison.finish(walk.rows)
        comparison.close()
        self.compared += comparison.compared
        del self._open[partition]

    async def page(self, stream: str, after: int) -> list[StoredEvent]:
        """Return the next rows of ``stream``, and note the relays that are in them."""
        async with self._store.reading() as tx:
            found = await tx.log.stream(
                stream, after=after, limit=COMPARED_ROWS, data=False, max_bytes=PAGE_BYTES
            )
        self._read += len(found)
        for event in found:
            relay = _numbering_relay(event)
            if relay is not None:
                self.streams_of[relay].add(stream)
        return found

    def is_early(self, event: StoredEvent) -> bool:
        """Return whether ``event`` was stored before the check began."""
        return event.version <= self._early.get(event.stream, 0)


class _Walk:
    """Reads one stream page by page."""

    def __init__(self, comparing: _Comparing, stream: str) -> None:
        self.stream = stream
        self.rows: deque[Stored] = deque()
        self._comparing = comparing
        self._version = 0

    async def more(self, *, until: int | None = None) -> bool:
        """Read the next page; return whether there is one (before the version ``until``)."""
        if until is not None and self._version >= until:
            return False
        found = await self._comparing.page(self.stream, self._version)
        if not found:
            return False
        self._version = found[-1].version
        self.rows.extend(_stored(event, early=self._comparing.is_early(event)) for event in found)
        return True


class _Consumer:
    """Waits for the consumer, a few seconds at most in all."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._checks = CATCH_UP_CHECKS

    async def reaches(self, partition: Partition, offset: int) -> bool:
        """Return whether the consumer has read ``offset``, now or soon."""
        while True:
            async with self._store.reading() as tx:
                reached = await tx.inbox.offsets("audit")
            if reached.get(partition, 0) > offset:
                return True
            if not self._checks:
                return False
            self._checks -= 1
            await self._store.clock.sleep(CATCH_UP_SECONDS / CATCH_UP_CHECKS)


class _Chaining:
    """Merges the events of one relay from its streams, by their sequence."""

    def __init__(self, store: Store, head: Head, streams: Collection[str]) -> None:
        self.check = ChainCheck(head, genesis=GENESIS, link=link)
        self._store = store
        self._head = head
        self._streams = sorted(streams)

    async def run(self) -> AsyncIterator[int]:
        """Check the chain; yields how many events were checked since the last time."""
        async for checked in self._merge():
            yield checked
        if self.check.late:
            # Some events were stored later than their successors: now take them in their places.
            self.check = ChainCheck(
                self._head, genesis=GENESIS, link=link, displaced=self.check.late
            )
            async for _ in self._merge():
                yield 0

    async def _merge(self) -> AsyncIterator[int]:
        sources = [_Numbered(self._store, stream, self._head.relay) for stream in self._streams]
        heap = [(source.rows[0][0], n) for n, source in enumerate(sources) if await source.more()]
        heapq.heapify(heap)
        checked = 0
        while heap:
            number = heap[0][1]
            source = sources[number]
            self.check.take(*source.rows.popleft())
            if source.rows or await source.more():
                heapq.heapreplace(heap, (source.rows[0][0], number))
            else:
                heapq.heappop(heap)
            checked += 1
            if checked % REPORT_EVERY == 0:
                yield REPORT_EVERY
        yield checked % REPORT_EVERY


class _Numbered:
    """The sequences and digests of one relay's events in one stream."""

    def __init__(self, store: Store, stream: str, relay: str) -> None:
        self.rows: deque[tuple[int, str]] = deque()
        self._store = store
        self._stream = stream
        self._relay = relay
        self._version = 0

    async def more(self) -> bool:
        """Read on to the next event of the relay; return whether there is one."""
        while not self.rows:
            async with self._store.reading() as tx:
                found = await tx.log.stream(
                    self._stream, after=self._version, limit=LINKED_ROWS, max_bytes=PAGE_BYTES
                )
            if not found:
                return False
            self._version = found[-1].version
            for event in found:
                if _numbering_relay(event) == self._relay:
                    about = loads(event.metadata)
                    own = event_digest(about["source"], about["id"], event.type, loads(event.data))
                    self.rows.append((about["sequence"], own))
        return True


def _partition(stream: str) -> Partition:
    topic, _, number = stream.removeprefix(RECORDS).rpartition("/")
    return topic, int(number)


def _stored(event: StoredEvent, *, early: bool) -> Stored:
    about: Mapping[str, Any] = loads(event.metadata)
    place = f"{RECORDS}{about['topic']}/{about['partition']}"
    # A record that says it is of another partition is like no record of its own.
    digest = about["value_digest"] if place == event.stream else ""
    return Stored(about["offset"], digest, early)


def _numbering_relay(event: StoredEvent) -> str | None:
    """Return the relay that assigned the record's sequence, or None.

    On intent topics, which every producer may write to, only the gateway's is: a producer that
    numbers its own events must not make a relay look broken.
    """
    about: Mapping[str, Any] = loads(event.metadata)
    relay: str | None = about.get("relay")
    if relay is None or about.get("sequence") is None:
        return None
    topic = _partition(event.stream)[0]
    if event.type == HeadPublished.TYPE and topic == topics.FACTS_HEAD:
        return None
    if topic in topics.INTENTS:
        return relay if relay in topics.FORWARDING_RELAYS else None
    return relay if about.get("source") == f"{topics.OWN_SOURCES}{relay}" else None
