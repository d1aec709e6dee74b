"""What busbar has aiokafka do otherwise: wait longer, hash a key once, and survive uvloop."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition, conn
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.consumer import fetcher
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.partitioner import DefaultPartitioner, murmur2

from busbar.runtime.kafka.header_names import LenientRecords

POLL_WAIT_MS = 1000
"""How long a poll waits for the first record. A service that stops does not wait for it."""

MAX_POLL_FAILURES = 3
"""Polls in a row that fail, five seconds apart, until the consumer counts as dead."""

_default = DefaultPartitioner()
_hash = lru_cache(maxsize=4096)(murmur2)


class PollingConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka is untyped
    """A consumer that waits for records where FastStream would poll a hundred times a second."""

    failed = 0
    """Polls in a row that raised: a broker that is away raises nothing, so this is for good."""

    @property
    def is_dead(self) -> bool:
        """Whether polling it makes no sense any more; FastStream would go on for ever."""
        return self.failed >= MAX_POLL_FAILURES

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """What there is; nothing if there is nothing for a second."""
        try:
            found: dict[TopicPartition, list[ConsumerRecord]] = await super().getmany(
                *partitions, timeout_ms=max(timeout_ms, POLL_WAIT_MS), max_records=max_records
            )
        except KafkaError:
            self.failed += 1
            raise
        self.failed = 0
        return found


class ResilientConnection(AIOKafkaConnection):  # type: ignore[misc]  # aiokafka is untyped
    """A connection whose end is an end, whatever the event loop calls it.

    Writing to a closed transport is an ``OSError`` or nothing at all with asyncio, and a
    ``RuntimeError`` with uvloop. That one aiokafka does not expect: it ends the task that keeps
    the consumer in its group, for good.
    """

    def send(self, request: Any, expect_response: bool = True) -> Any:  # noqa: FBT001, FBT002 - its
        """Send ``request``.

        Raises:
            KafkaConnectionError: the connection is not there any more.
        """
        try:
            return super().send(request, expect_response)
        except RuntimeError as error:
            self.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"{self.host}:{self.port} is closed: {error}") from error


def apply() -> None:
    """Apply the patches to aiokafka, for every client of this process. May be called again."""
    conn.AIOKafkaConnection = ResilientConnection
    fetcher.MemoryRecords = LenientRecords


def partition_of(key: bytes | None, everything: Sequence[int], available: Sequence[int]) -> int:
    """The partition of ``key``, as Kafka's own clients choose it.

    The hash is written in Python, and a resource has several facts in a row.
    """
    if key is None:
        return int(_default(key, everything, available))
    return everything[int(_hash(key) & 0x7FFFFFFF) % len(everything)]
