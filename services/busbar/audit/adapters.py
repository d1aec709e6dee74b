"""Reads the bus for the comparison with the copy."""

import hashlib
from collections.abc import AsyncIterator

from busbar.audit.domain import Place
from busbar.messages import topics
from busbar.runtime.kafka.reader import read_everything


class KafkaLog:
    """Reads every topic of busbar from the brokers at ``bootstrap``."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    async def places(self) -> AsyncIterator[tuple[Place, str]]:
        """Yield every record's place and the SHA-256 of its value."""
        async for record in read_everything(self._bootstrap, topics.ALL):
            digest = hashlib.sha256(record.value or b"").hexdigest()
            yield (record.topic, record.partition, record.offset), digest
