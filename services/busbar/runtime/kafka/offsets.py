"""Where each assigned partition is to be read from, and whether what arrives fits to that.

Between an assignment and the seek to the store's offset, aiokafka may fetch from anywhere. What
it then hands over is dropped here, in the same step of the event loop in which it was taken from
the buffers, so that no record can be handled before the consumer is where the store says.
"""

from collections.abc import Awaitable, Callable, Collection

from aiokafka import ConsumerRecord, TopicPartition
from faststream.kafka.message import FAKE_CONSUMER, KafkaMessage

from busbar.runtime.core.bus import Partition, Record
from busbar.runtime.telemetry.logs import get_logger

log = get_logger()

Beginning = Callable[[Collection[TopicPartition]], Awaitable[dict[TopicPartition, int]]]


class ReadPositions:
    """The next offset that is expected of each partition that has been placed."""

    def __init__(self) -> None:
        """Know no partition."""
        self._next: dict[TopicPartition, int] = {}
        self._jumped: dict[TopicPartition, int] = {}
        self.lost: str | None = None
        """What was lost, as a sentence: a partition whose records are gone stops the consumer."""

    def is_set(self, partition: TopicPartition) -> bool:
        """Whether ``partition`` has been placed."""
        return partition in self._next

    def set(self, partition: TopicPartition, offset: int) -> None:
        """Expect ``offset`` next."""
        self._next[partition] = offset

    def drop(self, partitions: Collection[TopicPartition]) -> None:
        """Drop whatever arrives of ``partitions`` from now on."""
        for partition in partitions:
            self._next.pop(partition, None)
            self._jumped.pop(partition, None)

    def mark_lost(self, partition: TopicPartition, wanted: int, begin: int, end: int) -> None:
        """Stop reading ``partition``: what was to come next is not there."""
        self.drop([partition])
        self.lost = (
            f"{partition.topic}/{partition.partition}: offset {wanted} was to be read next, but "
            f"the broker has {begin} to {end}. Records are lost, or this is another cluster; "
            "restore them, or move the offset in the store by hand"
        )
        log.error("offset_out_of_range", topic=partition.topic, partition=partition.partition)

    async def parse(self, raw: tuple[ConsumerRecord, ...]) -> KafkaMessage:
        """Wrap a batch, less what does not belong; looks into no record, so it cannot fail."""
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
            raw_message=raw,  # whole: FastStream names the first record in its own logs
            headers={},
            consumer=FAKE_CONSUMER,  # acknowledging is the engine's
            message_id=name,
            correlation_id=name,
        )

    async def without_lost(self, batch: list[Record], beginning: Beginning) -> list[Record]:
        """``batch`` without partitions in which offsets were skipped that retention took away.

        Other holes are legal: transaction markers take offsets, and compaction leaves some out.
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
