"""The harness of the Kafka topics adapter, and helpers for its tests."""

import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.admin import (
    CreatePartitionsRequest,
    CreateTopicsRequest,
    DeleteTopicsRequest,
)

from busbar.backends.kafka_topic import KafkaTopicBackend
from busbar.backends.kafka_topic.requests import SetTopicSettings
from busbar.backends.port import Backend
from busbar.testing import make_environment
from busbar.testing.contract import (
    BackendHarness,
    Inputs,
)
from support import eventually

RUN = secrets.token_hex(4)
"""The broker may outlive the session: names are never used twice."""

NUMBERS = count()
CHANGES = (CreateTopicsRequest, CreatePartitionsRequest, DeleteTopicsRequest, SetTopicSettings)
SETTINGS = ("flush.messages", "retention.ms", "cleanup.policy", "max.message.bytes")


def adapter(bootstrap: str) -> KafkaTopicBackend:
    return KafkaTopicBackend(make_environment(kafka_bootstrap=bootstrap))


class KafkaHarness(BackendHarness):
    backend: KafkaTopicBackend

    def __init__(self, bootstrap: str, admin: AIOKafkaAdminClient) -> None:
        self.backend = adapter(bootstrap)
        self.admin = admin
        self._names: list[str] = []
        self._patch = pytest.MonkeyPatch()

    def inputs(self) -> Inputs:
        self._names.append(f"adapter-{RUN}-{next(NUMBERS)}")
        return {
            "name": self._names[-1],
            "partitions": 2,
            "replicas": 1,
            "retention_hours": 24,
            "compacted": False,
        }

    def changed_inputs(self, inputs: Inputs) -> tuple[Inputs, set[str]]:
        changed = {**inputs, "retention_hours": 48, "compacted": True}
        return changed, {"retention_hours", "compacted"}

    def refused_inputs(self) -> Inputs:
        return {**self.inputs(), "replicas": 3}

    def invalid_inputs(self) -> Inputs:
        return {**self.inputs(), "name": "busbar.intents.mine"}

    async def create_foreign(self, inputs: Inputs) -> None:
        await self.create(inputs, {})

    async def create(self, inputs: Inputs, settings: dict[str, str]) -> None:
        new = NewTopic(inputs["name"], inputs["partitions"], 1, topic_configs=settings)
        answer = await self.admin.create_topics([new])
        assert answer.topic_errors[0][1] == 0

        async def shown() -> bool:
            seen = await self.inspect(inputs)
            return seen is not None and seen["partitions"] == inputs["partitions"]

        # The broker answers before its metadata show the topic.
        await eventually(shown, what=f"topic {inputs['name']} in the metadata")

    async def set(self, inputs: Inputs, settings: dict[str, str]) -> None:
        """Replace all settings of a topic, as a person with Kafka's tools may."""
        resource = ConfigResource(ConfigResourceType.TOPIC, inputs["name"], settings)
        (answer,) = await self.admin.alter_configs([resource])
        assert answer.resources[0][0] == 0

        async def shown() -> bool:
            found = await self.inspect(inputs)
            return found is not None and settings.items() <= found.items()

        # The controller answers before the broker that is asked next has read the change.
        await eventually(shown, what="the changed settings")

    async def inspect(self, inputs: Inputs) -> dict[str, Any] | None:
        if inputs["name"] not in await self.admin.list_topics():
            return None
        (topic,) = await self.admin.describe_topics([inputs["name"]])
        wanted = dict.fromkeys(SETTINGS, "")
        resource = ConfigResource(ConfigResourceType.TOPIC, inputs["name"], wanted)
        (described,) = await self.admin.describe_configs([resource])
        entries = described.to_object()["resources"][0]["config_entries"]
        return {
            "partitions": len(topic["partitions"]),
            "replicas": {len(partition["replicas"]) for partition in topic["partitions"]},
            **{entry["config_names"]: entry["config_value"] for entry in entries},
        }

    @contextmanager
    def lose_answers(self) -> Iterator[None]:
        send = AIOKafkaClient.send

        async def lose(client: AIOKafkaClient, node: int, request: Any) -> Any:
            answer = await send(client, node, request)
            if isinstance(request, CHANGES):
                raise KafkaConnectionError("the connection broke before the answer came")
            return answer

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(AIOKafkaClient, "send", lose)
            yield

    def unreachable_backend(self) -> Backend:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        return adapter(f"127.0.0.1:{port}")

    async def end(self) -> None:
        await self.backend.close()
        left = set(self._names) & set(await self.admin.list_topics())
        if left:
            await self.admin.delete_topics(sorted(left))


def record_requests(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    sent: list[Any] = []
    send = AIOKafkaClient.send

    async def recording(client: AIOKafkaClient, node: int, request: Any) -> Any:
        sent.append(request)
        return await send(client, node, request)

    monkeypatch.setattr(AIOKafkaClient, "send", recording)
    return sent
