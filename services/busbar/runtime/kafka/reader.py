"""A reader of complete topics, outside of any consumer group, in bounded memory."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from busbar.runtime.core.bus import Partition, Record
from busbar.runtime.kafka import patches
from busbar.runtime.kafka.bus import record_of
from busbar.runtime.kafka.errors import translated

TOGETHER = 8
"""Partitions that are read at the same time: the client keeps a fetched part of each in memory."""

FETCH_BYTES = 256 * 1024
"""Bytes fetched of a partition at a time. Kafka sends a batch that is larger as a whole."""

BATCH_RECORDS = 500


class TopicReader:
    """Reads topics from their beginning to the ``ends`` that they had when it was opened."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        *,
        begin: Mapping[TopicPartition, int],
        end: Mapping[TopicPartition, int],
    ) -> None:
        """Use :func:`open_reader` instead."""
        self._consumer = consumer
        self._begin = begin
        self._end = end

    @property
    def ends(self) -> dict[Partition, int]:
        """The offset after the last one of every partition."""
        return {(tp.topic, tp.partition): end for tp, end in self._end.items()}

    async def batches(self) -> AsyncIterator[list[Record]]:
        """Yield the records, in batches of one partition each, in the order of their offsets.

        Raises:
            BusUnavailable: the broker is unreachable.
        """
        left = sorted(tp for tp, begin in self._begin.items() if begin < self._end[tp])
        for first in range(0, len(left), TOGETHER):
            async for batch in self._read(set(left[first : first + TOGETHER])):
                yield batch

    async def _read(self, open_: set[TopicPartition]) -> AsyncIterator[list[Record]]:
        self._consumer.assign(open_)
        for tp in open_:
            self._consumer.seek(tp, self._begin[tp])
        while open_:
            with translated():
                fetched = await self._consumer.getmany(
                    *open_, timeout_ms=200, max_records=BATCH_RECORDS
                )
            for tp, raws in fetched.items():
                batch = [record_of(raw) for raw in raws if raw.offset < self._end[tp]]
                if batch:
                    yield batch
            # The position also moves past transaction markers, which are offsets without a record.
            with translated():
                open_ = {tp for tp in open_ if await self._consumer.position(tp) < self._end[tp]}


@asynccontextmanager
async def open_reader(bootstrap: str, topic_names: Sequence[str]) -> AsyncIterator[TopicReader]:
    """Open a reader of ``topic_names`` for the duration of the block.

    Raises:
        BusUnavailable: the broker is unreachable, or a topic does not exist.
    """
    patches.apply()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",  # records whose retention ends meanwhile are passed over
        max_partition_fetch_bytes=FETCH_BYTES,
        fetch_max_bytes=TOGETHER * FETCH_BYTES,
        fetch_max_wait_ms=50,
    )
    try:
        with translated():
            await consumer.start()
            partitions = await _partitions(bootstrap, topic_names)
            begin = await consumer.beginning_offsets(partitions)
            end = await consumer.end_offsets(partitions)
        yield TopicReader(consumer, begin=begin, end=end)
    finally:
        await consumer.stop()


async def read_everything(bootstrap: str, topic_names: Sequence[str]) -> AsyncIterator[Record]:
    """Yield every record of ``topic_names`` up to their current end, outside of any group.

    Raises:
        BusUnavailable: the broker is unreachable, or a topic does not exist.
    """
    async with open_reader(bootstrap, topic_names) as reader:
        async for batch in reader.batches():
            for record in batch:
                yield record


async def _partitions(bootstrap: str, topic_names: Sequence[str]) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        found = await admin.describe_topics(list(topic_names))
    finally:
        await admin.close()
    return [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in found
        for partition in topic["partitions"]
    ]
