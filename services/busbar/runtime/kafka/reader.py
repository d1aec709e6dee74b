"""A reader of complete topics, outside of any consumer group."""

from collections.abc import AsyncIterator, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from busbar.messages import topics
from busbar.runtime.core.bus import Record
from busbar.runtime.kafka import patches
from busbar.runtime.kafka.bus import record_of
from busbar.runtime.kafka.errors import translated


async def read_everything(bootstrap: str, topic_names: Sequence[str]) -> AsyncIterator[Record]:
    """Yield every record of ``topic_names`` up to their current end, outside of any group.

    Raises:
        BusUnavailable: the broker is unreachable, or a topic does not exist.
    """
    patches.apply()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_partition_fetch_bytes=topics.DEAD_LETTER_MAX_BYTES,
        fetch_max_wait_ms=50,
    )
    try:
        with translated():
            await consumer.start()
            partitions = await _partitions(bootstrap, topic_names)
            begin = await consumer.beginning_offsets(partitions)
            end = await consumer.end_offsets(partitions)
        open_ = {tp for tp in partitions if begin[tp] < end[tp]}
        consumer.assign(open_)
        for tp in open_:
            consumer.seek(tp, begin[tp])
        while open_:
            with translated():
                fetched = await consumer.getmany(timeout_ms=200)
            for tp, raws in fetched.items():
                for raw in raws:
                    if raw.offset < end[tp]:
                        yield record_of(raw)
            # The position also moves past transaction markers, which are offsets without a record.
            with translated():
                open_ = {tp for tp in open_ if await consumer.position(tp) < end[tp]}
    finally:
        await consumer.stop()


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
