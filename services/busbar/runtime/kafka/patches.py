"""Changes to aiokafka: longer polls, cached key hashes, and compatibility with uvloop."""

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
"""Longest wait of a poll for the first record. A service that stops does not wait for it."""

MAX_POLL_FAILURES = 3
"""Consecutive failed polls, five seconds apart, after which the consumer counts as dead."""

_default = DefaultPartitioner()
_hash = lru_cache(maxsize=4096)(murmur2)


class PollingConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka is untyped
    """A consumer whose polls wait for records; FastStream would poll a hundred times a second."""

    failed = 0
    """Consecutive polls that raised: permanent errors, as an unreachable broker does not raise."""

    @property
    def is_dead(self) -> bool:
        """True if further polls are pointless; FastStream would poll indefinitely."""
        return self.failed >= MAX_POLL_FAILURES

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Return the available records; nothing if none arrives within a second."""
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
    """A connection that reports being closed in the same way on every event loop.

    A write to a closed transport raises an ``OSError`` or nothing with asyncio, and a
    ``RuntimeError`` with uvloop. aiokafka does not expect the latter: it permanently ends the task
    that keeps the consumer in its group.
    """

    def send(self, request: Any, expect_response: bool = True) -> Any:  # noqa: FBT001, FBT002 - its signature
        """Send ``request``.

        Raises:
            KafkaConnectionError: the connection is closed.
        """
        try:
            return super().send(request, expect_response)
        except RuntimeError as error:
            self.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"{self.host}:{self.port} is closed: {error}") from error


def apply() -> None:
    """Apply the patches to aiokafka for every client of this process; idempotent."""
    conn.AIOKafkaConnection = ResilientConnection
    fetcher.MemoryRecords = LenientRecords


def partition_of(key: bytes | None, everything: Sequence[int], available: Sequence[int]) -> int:
    """Return the partition of ``key``, chosen like Kafka's own clients do.

    The hash is cached: it is computed in Python, and a resource has several facts in a row.
    """
    if key is None:
        return int(_default(key, everything, available))
    return everything[int(_hash(key) & 0x7FFFFFFF) % len(everything)]
