"""The Kafka topics adapter, on the session's broker."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from support.kafka_topics import KafkaHarness
from support.postgres import postgres

__all__ = ["postgres"]


@pytest.fixture
async def harness(kafka: Any) -> AsyncIterator[KafkaHarness]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    harness = KafkaHarness(kafka.bootstrap, admin)
    try:
        yield harness
        await harness.end()
    finally:
        await harness.backend.close()
        await admin.close()
