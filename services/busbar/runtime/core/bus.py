"""The bus as the engine sees it. Kafka is one implementation, a simulation another."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from busbar.runtime.core.unavailable import Unavailable


class BusUnavailable(Unavailable):
    """The bus is unreachable or refused a request; the same call may succeed later."""


Partition = tuple[str, int]
"""Topic and partition number."""

Headers = Sequence[tuple[str, bytes | None]]


class Record(NamedTuple):
    """A record as it was consumed, valid or not. ``timestamp`` is in ms since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    def __repr__(self) -> str:
        """Return the record's place without its contents."""
        return f"Record({self.topic}/{self.partition}@{self.offset})"


class Outgoing(NamedTuple):
    """A record to publish."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]

    def __repr__(self) -> str:
        """Return the record's topic without its contents."""
        return f"Outgoing({self.topic})"


MAX_PART_BYTES = 8 * 1024 * 1024
"""Bytes of a batch per transaction, which holds them in memory several times over."""

PUBLISHED_BYTES = 256 * 1024
"""Bytes per partition that are published together: a quarter of what a broker accepts.

With more, a partition gets a second batch, which waits for the response to the first.
"""


def in_parts(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Yield ``records`` in order, in parts of up to :data:`MAX_PART_BYTES` or a single record."""
    start = size = 0
    for index, record in enumerate(records):
        length = len(record.value or b"") + len(record.key or b"")
        if size and size + length > MAX_PART_BYTES:
            yield records[start:index]
            start, size = index, 0
        size += length
    if records:
        yield records[start:]


class Consumer(Protocol):
    """The engine, as the bus calls it."""

    async def handle_batch(self, records: Sequence[Record]) -> Mapping[Partition, int]:
        """Handle ``records``; return once their effects are durable. Never raises.

        Returns the next offsets of their partitions. Unfinished records of partitions that were
        revoked meanwhile are left to the instances that own them now.
        """
        ...

    async def positions(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """Return the next offsets of ``partitions`` in the store; unread ones are omitted."""
        ...

    async def revoke(self, partitions: Collection[Partition]) -> None:
        """Finish the records in progress of ``partitions`` and handle no more of them.

        Once this returns, other instances may own them, until :meth:`positions` is called for
        them again.
        """
        ...


class Publisher(Protocol):
    """The sending half of a bus."""

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Publish ``records`` in order; return once all of them are acknowledged.

        Raises:
            BusUnavailable: a record was not acknowledged.
        """
        ...


class Bus(Publisher, Protocol):
    """A bus as the process of a service uses it."""

    def subscribe(
        self, topic_names: Sequence[str], consumer: Consumer, *, instance: str | None = None
    ) -> None:
        """Deliver the records of ``topic_names`` to ``consumer`` once :meth:`consume` is called.

        ``instance`` is a stable member id (``group.instance.id``): an instance that restarts under
        it gets its partitions back without a rebalance.
        """
        ...

    async def start(self) -> None:
        """Connect for publishing.

        Raises:
            BusUnavailable: no broker answers.
        """
        ...

    async def consume(self) -> None:
        """Join the consumer group and start to deliver; return once partitions are assigned.

        Raises:
            BusUnavailable: no broker answers.
        """
        ...

    async def stop(self) -> None:
        """Finish the batch in progress, leave the group and disconnect."""
        ...

    async def answers(self) -> bool:
        """Return whether a broker answers now."""
        ...

    async def behind(self) -> int:
        """Return the number of records that are not delivered yet."""
        ...

    def problem(self) -> str | None:
        """Return the reason why records do not flow, as a sentence; None if they do."""
        ...

    @property
    def is_dead(self) -> bool:
        """True if the consumer has failed and delivers nothing more until :meth:`restart`."""
        ...

    async def restart(self) -> None:
        """Replace a consumer that has failed by a new one.

        Raises:
            BusUnavailable: no broker answers.
        """
        ...
