"""The Kafka topics adapter, on the session's broker."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from support.kafka_topics import KafkaSubject
from support.postgres import postgres

__all__ = ["postgres"]


@pytest.fixture
async def subject(kafka: Any) -> AsyncIterator[KafkaSubject]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    subject = KafkaSubject(kafka.bootstrap, admin)
    try:
        yield subject
        await subject.end()
    finally:
        await subject.backend.close()
        await admin.close()
