"""Read positions of assigned partitions, and checks that fetched records match them.

Between an assignment and the seek to the stored offset, aiokafka may fetch from any offset. Such
records are dropped here, in the same step of the event loop in which they leave its buffers, so
that no record is handled before the consumer is at the stored offset.
"""

from collections.abc import Awaitable, Callable, Collection

from aiokafka import ConsumerRecord, TopicPartition
from faststream.kafka.message import FAKE_CONSUMER, KafkaMessage

from busbar.runtime.core.bus import Partition, Record
from busbar.runtime.telemetry.logs import get_logger

log = get_logger()

Beginning = Callable[[Collection[TopicPartition]], Awaitable[dict[TopicPartition, int]]]


class ReadPositions:
    """The next expected offset of each partition whose position has been set."""

    def __init__(self) -> None:
        self._next: dict[TopicPartition, int] = {}
        self._jumped: dict[TopicPartition, int] = {}
        self.lost: str | None = None
        """A description of lost records, if any: their partition stops until an operator acts."""

    def is_set(self, partition: TopicPartition) -> bool:
        """Return whether the position of ``partition`` has been set."""
        return partition in self._next

    def set(self, partition: TopicPartition, offset: int) -> None:
        """Expect ``offset`` next in ``partition``."""
        self._next[partition] = offset

    def drop(self, partitions: Collection[TopicPartition]) -> None:
        """Drop all records of ``partitions`` until their positions are set again."""
        for partition in partitions:
            self._next.pop(partition, None)
            self._jumped.pop(partition, None)

    def clear(self) -> None:
        """Forget all positions: a new consumer sets its own."""
        self._next.clear()
        self._jumped.clear()

    def mark_lost(self, partition: TopicPartition, wanted: int, begin: int, end: int) -> None:
        """Stop reading ``partition``: the offset ``wanted`` is not on the broker."""
        self.drop([partition])
        self.lost = (
            f"{partition.topic}/{partition.partition}: offset {wanted} is to be read next, but the "
            f"broker has {begin} to {end}. Records are lost, or this is another cluster: "
            "restore them, or move the offset in the store manually"
        )
        log.error("offset_out_of_range", topic=partition.topic, partition=partition.partition)

    async def parse(self, raw: tuple[ConsumerRecord, ...]) -> KafkaMessage:
        """Wrap a batch without unexpected records; it decodes nothing, so it cannot fail."""
        taken = []
        for record in raw:
            partition = TopicPartition(record.topic, record.partition)
            expected = self._next.get(partition)
            if expected is None:
                continue
            if record.offset > expected:
                self._jumped.setdefault(partition, expected)
            self._next[partition] = record.offset + 1
            taken.append(record)
        name = f"{raw[0].topic}-{raw[0].partition}-{raw[0].offset}"
        return KafkaMessage(
            body=taken,
            raw_message=raw,  # complete: FastStream logs the first record
            headers={},
            consumer=FAKE_CONSUMER,  # the engine acknowledges
            message_id=name,
            correlation_id=name,
        )

    async def without_lost(self, batch: list[Record], beginning: Beginning) -> list[Record]:
        """Return ``batch`` without the partitions whose skipped offsets were deleted by retention.

        Other gaps are legal: transaction markers take offsets, and compaction removes some.
        """
        jumped, self._jumped = self._jumped, {}
        if not jumped:
            return batch
        begin = await beginning(list(jumped))
        lost: set[Partition] = set()
        for partition, expected in jumped.items():
            if begin[partition] > expected:
                self.mark_lost(partition, expected, begin[partition], begin[partition])
                lost.add((partition.topic, partition.partition))
        return [record for record in batch if (record.topic, record.partition) not in lost]
