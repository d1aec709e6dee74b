"""A bus in this process with the surface of :class:`busbar.runtime.kafka.bus.KafkaBus`.

Topics have partitions and offsets, a key always comes to the same partition, a group's partitions
are shared out among its members, and reading starts where the consumer's store says. It passes the
suite that the real one passes (``integration/test_bus_suite.py``) and serves the kill sweeps only.
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from busbar.messages import topics
from busbar.runtime.core.bus import BusUnavailable, Consumer, Headers, Outgoing, Partition, Record


class Loss(Enum):
    """A failure of one publishing."""

    REQUEST = "the records never arrived"
    ANSWER = "the records arrived, and the answer was lost"
    HALF = "half of the records arrived, and the answer was lost"


async def _turn() -> None:
    await asyncio.sleep(0)


@dataclass(slots=True)
class _Group:
    """The assignment of partitions. A partition moves when its reader has released it."""

    members: list["SimulatedBus"] = field(default_factory=list)
    owner: dict[Partition, "SimulatedBus"] = field(default_factory=dict)
    target: dict[Partition, "SimulatedBus"] = field(default_factory=dict)


class Broker:
    """The records, which outlive every process."""

    def __init__(self, *, partitions: int = topics.PARTITIONS) -> None:
        self.partitions = partitions
        self.logs: dict[Partition, list[Record]] = defaultdict(list)
        self.losses: list[Loss | None] = []
        """Used up in order, one for each call that publishes; None goes well."""
        self.timestamp: Callable[[], int] = lambda: 0
        """The timestamp of what is published now, in ms."""
        self.latency: Callable[[], Awaitable[None]] = _turn
        """How long a record is on its way."""
        self.poll: Callable[[], Awaitable[None]] = _turn
        """How long a consumer that found nothing waits before it looks again."""
        self.resets = 0
        """How often the connections of all producers were reset."""
        self._begin: dict[Partition, int] = {}
        self._held: set[tuple[str, str]] = set()
        self._groups: dict[str, _Group] = {}

    def partition_of(self, key: bytes | None) -> int:
        """Return the partition of a key: always the same one."""
        digest = hashlib.sha256(key or b"").digest()
        return int.from_bytes(digest[:4], "big") % self.partitions

    def append(
        self,
        topic: str,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        partition: int | None = None,
    ) -> Record:
        number = self.partition_of(key) if partition is None else partition
        log = self.logs[topic, number]
        record = Record(topic, number, len(log), self.timestamp(), key, value, headers)
        log.append(record)
        for group in self._groups.values():
            reader = group.owner.get((topic, number))
            if reader is not None:
                reader.wake()
        return record

    def begin(self, partition: Partition) -> int:
        return self._begin.get(partition, 0)

    def end(self, partition: Partition) -> int:
        return len(self.logs[partition])

    def forget_before(self, partition: Partition, offset: int) -> None:
        """Retention: what is older is gone."""
        self._begin[partition] = offset

    def hold(self, group: str, topic: str) -> None:
        """Deliver nothing of ``topic`` to ``group`` until it is released."""
        self._held.add((group, topic))

    def release(self, group: str, topic: str) -> None:
        """Deliver what was held."""
        self._held.discard((group, topic))
        for member in self._groups.get(group, _Group()).members:
            member.wake()

    def is_held(self, group: str, topic: str) -> bool:
        """Return whether nothing of ``topic`` is delivered to ``group``."""
        return (group, topic) in self._held

    def forget_members(self) -> None:
        """End the sessions of all consumers, whose process is dead."""
        self._groups.clear()

    def join(self, group: str, member: "SimulatedBus") -> None:
        self._groups.setdefault(group, _Group()).members.append(member)
        self._share_out(group)

    def leave(self, group: str, member: "SimulatedBus") -> None:
        found = self._groups.get(group)
        if found is None or member not in found.members:
            return
        found.members.remove(member)
        for partition, owner in list(found.owner.items()):
            if owner is member:
                del found.owner[partition]
        self._share_out(group)

    def _share_out(self, name: str) -> None:
        group = self._groups[name]
        wanted = sorted({topic for member in group.members for topic in member.topics})
        group.target = {}
        for topic in wanted:
            readers = [member for member in group.members if topic in member.topics]
            for number in range(self.partitions):
                group.target[topic, number] = readers[number % len(readers)]
        for member in group.members:
            member.wake()

    def lost(self, name: str, member: "SimulatedBus") -> set[Partition]:
        """Return the partitions that ``member`` has to release."""
        group = self._groups.get(name, _Group())
        held = {p for p, owner in group.owner.items() if owner is member}
        return held - {p for p, target in group.target.items() if target is member}

    def let_go(self, name: str, partitions: set[Partition]) -> None:
        """Leave ``partitions`` without a reader until one takes them."""
        group = self._groups.get(name, _Group())
        for partition in partitions:
            group.owner.pop(partition, None)
        for other in group.members:
            other.wake()

    def take(self, name: str, member: "SimulatedBus") -> set[Partition]:
        """Assign to ``member`` the free partitions of its share, and return them."""
        group = self._groups.get(name, _Group())
        got = {p for p, target in group.target.items() if target is member} - group.owner.keys()
        group.owner.update(dict.fromkeys(got, member))
        return got


class SimulatedBus:
    """The bus of one service: its consumer in the group ``busbar.<service>``, and its producer."""

    def __init__(
        self,
        broker: Broker,
        *,
        service: str,
        batch_records: int = 500,
        gather_seconds: float = 0.0,  # noqa: ARG002 - every record is worth a look here
    ) -> None:
        self._broker = broker
        self._group = f"busbar.{service}"
        self._batch_records = batch_records
        self._consumer: Consumer | None = None
        self._loop: asyncio.Task[None] | None = None
        self._busy = asyncio.Lock()
        self._woken = asyncio.Event()
        self._placed = asyncio.Event()
        self._next: dict[Partition, int] = {}
        self._lost: str | None = None
        self._started = False
        self.topics: tuple[str, ...] = ()

    def wake(self) -> None:
        """There may be something to read, or to let go of."""
        self._woken.set()

    def subscribe(
        self,
        topic_names: Sequence[str],
        consumer: Consumer,
        *,
        instance: str | None = None,  # noqa: ARG002 - sessions end immediately here
    ) -> None:
        self.topics = tuple(topic_names)
        self._consumer = consumer

    async def start(self) -> None:
        self._started = True

    async def consume(self) -> None:
        if self._consumer is None:
            return
        self._broker.join(self._group, self)
        self._loop = asyncio.create_task(self._deliver(self._consumer))
        placed = asyncio.create_task(self._placed.wait())
        await asyncio.wait({placed, self._loop}, return_when=asyncio.FIRST_COMPLETED)
        placed.cancel()

    async def stop(self) -> None:
        """Finish the current batch first."""
        async with self._busy:
            if self._loop is not None:
                self._loop.cancel()
        self._broker.leave(self._group, self)
        if self._loop is not None:
            await asyncio.gather(self._loop, return_exceptions=True)

    async def answers(self) -> bool:
        return self._started

    async def behind(self) -> int:
        return sum(
            max(0, self._broker.end(partition) - wanted) for partition, wanted in self._next.items()
        )

    @property
    def is_dead(self) -> bool:
        """A simulated consumer dies with its process."""
        return False

    async def restart(self) -> None:
        """Do nothing: it never fails."""

    def problem(self) -> str | None:
        if self._consumer is None:
            return None
        if self._loop is None or self._loop.done():
            return "the consumer has failed permanently"
        if self._lost:
            return self._lost
        return None if self._placed.is_set() else "the consumer is still seeking its positions"

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Publish in order; returns when all are acknowledged.

        Raises:
            BusUnavailable: something was lost on the way.
        """
        if not self._started:
            raise RuntimeError("the bus has not been started")
        loss = self._broker.losses.pop(0) if self._broker.losses else None
        half, resets = len(records) // 2, self._broker.resets
        for number, record in enumerate(records):
            await self._broker.latency()
            if self._broker.resets != resets:
                break
            if loss is Loss.REQUEST or (loss is Loss.HALF and number >= half):
                break
            self._broker.append(
                record.topic, key=record.key, value=record.value, headers=record.headers
            )
        await self._broker.latency()
        if self._broker.resets != resets:
            raise BusUnavailable("the connection was reset")
        if loss is not None:
            raise BusUnavailable(loss.value)

    # -- consuming ------------------------------------------------------------------------------

    async def _deliver(self, consumer: Consumer) -> None:
        while True:
            self._woken.clear()
            async with self._busy:
                await self._place(consumer)
                batch = self._take()
                if batch:
                    await consumer.handle_batch(batch)
                    continue
            await self._woken.wait()
            await self._broker.poll()

    async def _place(self, consumer: Consumer) -> None:
        """Go on where the store says; start unread partitions at their beginning."""
        if lost := self._broker.lost(self._group, self):
            await consumer.revoke(sorted(lost))
            for partition in lost:
                self._next.pop(partition, None)
            self._broker.let_go(self._group, lost)
        if got := self._broker.take(self._group, self):
            await self._broker.latency()
            positions = await consumer.positions(sorted(got))
            for partition in sorted(got):
                self._seek(partition, positions.get(partition))
        self._placed.set()

    def _seek(self, partition: Partition, stored: int | None) -> None:
        begin, end = self._broker.begin(partition), self._broker.end(partition)
        wanted = begin if stored is None else stored
        if begin <= wanted <= end:
            self._next[partition] = wanted
        else:
            self._lose(partition, wanted)

    def _lose(self, partition: Partition, wanted: int) -> None:
        self._next.pop(partition, None)
        begin, end = self._broker.begin(partition), self._broker.end(partition)
        self._lost = (
            f"{partition[0]}/{partition[1]}: offset {wanted} is to be read next, but the broker "
            f"has {begin} to {end}"
        )

    def _take(self) -> list[Record]:
        batch: list[Record] = []
        for partition, wanted in list(self._next.items()):
            if wanted < self._broker.begin(partition):
                self._lose(partition, wanted)
                continue
            if self._broker.is_held(self._group, partition[0]):
                continue
            room = self._batch_records - len(batch)
            found = self._broker.logs[partition][wanted : wanted + room] if room else []
            self._next[partition] = wanted + len(found)
            batch.extend(found)
        return batch
