"""Reads the bus for the comparison with the copy."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from busbar.audit.domain import Published
from busbar.messages import topics
from busbar.runtime.core.bus import Partition
from busbar.runtime.kafka.reader import TopicReader, open_reader


class KafkaLog:
    """Reads every topic of busbar from the brokers at ``bootstrap``."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    @asynccontextmanager
    async def reading(self) -> AsyncIterator["KafkaReading"]:
        """Open every topic for reading."""
        async with open_reader(self._bootstrap, topics.ALL) as reader:
            yield KafkaReading(reader)


class KafkaReading:
    """The topics up to the ends that they had when they were opened."""

    def __init__(self, reader: TopicReader) -> None:
        self._reader = reader

    @property
    def ends(self) -> Mapping[Partition, int]:
        """The offset after the last one of every partition."""
        return self._reader.ends

    async def batches(self) -> AsyncIterator[tuple[Partition, Sequence[Published]]]:
        """Yield the offsets of all records and the SHA-256 of their values."""
        async for records in self._reader.batches():
            partition = records[0].topic, records[0].partition
            yield (
                partition,
                [
                    Published(record.offset, hashlib.sha256(record.value or b"").hexdigest())
                    for record in records
                ],
            )
