"""What busbar has aiokafka do otherwise: wait longer, and hash a key once."""

from collections.abc import Sequence
from functools import lru_cache

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.partitioner import DefaultPartitioner, murmur2

WAIT_MS = 1000
"""How long a poll waits for the first record. A service that stops does not wait for it."""

_default = DefaultPartitioner()
_hash = lru_cache(maxsize=4096)(murmur2)


class PatientConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka is untyped
    """A consumer that waits for records where FastStream would poll a hundred times a second."""

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """What there is; nothing if there is nothing for a second."""
        found: dict[TopicPartition, list[ConsumerRecord]] = await super().getmany(
            *partitions, timeout_ms=max(timeout_ms, WAIT_MS), max_records=max_records
        )
        return found


def partition_of(key: bytes | None, everything: Sequence[int], available: Sequence[int]) -> int:
    """The partition of ``key``, as Kafka's own clients choose it.

    The hash is written in Python, and a resource has several facts in a row.
    """
    if key is None:
        return int(_default(key, everything, available))
    return everything[int(_hash(key) & 0x7FFFFFFF) % len(everything)]
