"""The bus as the engine sees it: records in, records out. Kafka is one; a simulation another."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from busbar.kernel.errors import BusbarError


class BusUnavailable(BusbarError, ConnectionError):
    """The bus is unreachable or refused a request; the same call may succeed later."""


Partition = tuple[str, int]
"""Topic and partition number."""

Headers = Sequence[tuple[str, bytes | None]]


class Record(NamedTuple):
    """One record as it was consumed, whatever is in it. ``timestamp`` is in ms since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    def __repr__(self) -> str:
        """Where it is, and never what is in it."""
        return f"Record({self.topic}/{self.partition}@{self.offset})"


class Outgoing(NamedTuple):
    """One record to publish."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]

    def __repr__(self) -> str:
        """Where it goes, and never what is in it."""
        return f"Outgoing({self.topic})"


MAX_PART_BYTES = 8 * 1024 * 1024
"""How much of a batch is handled in one transaction, which holds it several times over."""

PUBLISHED_BYTES = 256 * 1024
"""What a partition's share of what is published at once may take, a quarter of what a broker does.

More than one batch each, and the second waits for the answer to the first.
"""


def in_parts(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """``records`` in order, in parts that are not too large; a part has at least one."""
    start = size = 0
    for index, record in enumerate(records):
        own = len(record.value or b"") + len(record.key or b"")
        if size and size + own > MAX_PART_BYTES:
            yield records[start:index]
            start, size = index, 0
        size += own
    if records:
        yield records[start:]


class Consumer(Protocol):
    """What the bus calls: the engine."""

    async def handle_batch(self, records: Sequence[Record]) -> Mapping[Partition, int]:
        """Handle ``records``; returns when everything of them is durable. Never raises.

        Gives the next offsets of their partitions; what is not done of partitions that were
        revoked meanwhile is left to whoever has them now.
        """
        ...

    async def positions(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """The next offsets of ``partitions`` as the store has them; unread ones are left out."""
        ...

    async def revoke(self, partitions: Collection[Partition]) -> None:
        """Finish what is in hand of ``partitions``, and handle nothing more of them.

        They are anybody's when this returns, until :meth:`positions` is asked about them again.
        """
        ...


class Publisher(Protocol):
    """The sending half of a bus."""

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Publish ``records`` in order and return when all of them are acknowledged.

        Raises:
            BusUnavailable: a record was not acknowledged.
        """
        ...


class Bus(Publisher, Protocol):
    """A bus as a service's process uses it. Kafka is one, and the simulation has another."""

    def subscribe(
        self, topic_names: Sequence[str], consumer: Consumer, *, instance: str | None = None
    ) -> None:
        """Deliver the records of ``topic_names`` to ``consumer`` once :meth:`consume` is called.

        ``instance`` is a stable member id (``group.instance.id``): an instance that restarts under
        it gets its partitions back without a rebalance.
        """
        ...

    async def start(self) -> None:
        """Connect, to publish.

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
        """Finish the batch in hand, leave the group and disconnect."""
        ...

    async def answers(self) -> bool:
        """Return whether a broker answers now."""
        ...

    async def behind(self) -> int:
        """Return the number of records that were not delivered here yet."""
        ...

    def problem(self) -> str | None:
        """Return why records do not flow, as a sentence; None if they do."""
        ...

    @property
    def is_dead(self) -> bool:
        """Whether the consumer failed permanently: only a restart of the process helps."""
        ...
