"""The Kafka cluster as the adapter sees it: one client, made when first needed, renewed when lost.

It is aiokafka's low-level client, not its admin client: that one describes a topic with a request
that lets the broker *create* the topic (``auto.create.topics.enable`` is Kafka's default), and it
does not tell whether a request had been sent when it failed.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError, NodeNotReadyError
from aiokafka.protocol.admin import (
    CreatePartitionsRequest,
    CreateTopicsRequest,
    DeleteTopicsRequest,
    DescribeConfigsRequest,
)
from aiokafka.protocol.metadata import MetadataRequest

from busbar.backends.kafka_topic import mark
from busbar.backends.kafka_topic.requests import TOPIC, SetTopicSettings
from busbar.backends.port import BackendUnavailable

_NO_ERROR: Final = 0
_UNKNOWN_TOPIC: Final = 3
_LEADER_NOT_AVAILABLE: Final = 5
_OVERRIDE: Final = 1
"""``DescribeConfigsResponse.ConfigSource.TOPIC_CONFIG``: set on the topic, not inherited."""

_TROUBLE: Final = (KafkaError, OSError, TimeoutError)
_RAISED_BEFORE_SENDING: Final = (NodeNotReadyError, IncompatibleBrokerVersion)


class AnswerLost(Exception):
    """A request was sent and its answer never came: it may or may not have been carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """What a topic is like."""

    partitions: int
    replicas: frozenset[int]
    """How many replicas its partitions have; one number unless somebody is moving them."""
    unready: int
    """Partitions without a leader or without a replica in sync."""
    mark: int | None
    retention_ms: int
    policies: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A broker's answer to a request for change; ``code`` is Kafka's, 0 says done."""

    code: int
    message: str
    brokers: int
    """How many brokers there are, for the sentence that explains a refusal."""


@dataclass(slots=True)
class _Link:
    client: Any
    users: int = 0
    retired: bool = False


class Cluster:
    """Asks and changes topics. Safe for concurrent use within one event loop.

    Every method takes ``until``, the moment on the loop's clock by which it has to be over. All
    of them raise :class:`BackendUnavailable` if nothing was sent; those that change something
    raise :class:`AnswerLost` if something was.
    """

    def __init__(self, bootstrap: str) -> None:
        """Connect to ``bootstrap`` when first asked."""
        self._bootstrap = bootstrap
        self._link: _Link | None = None
        self._opening = asyncio.Lock()

    async def look(self, name: str, *, until: float) -> Topic | None:
        """The topic, or None. Changes nothing: the broker is told not to create it."""
        metadata = await self._ask(
            MetadataRequest([name], allow_auto_topic_creation=False), until=until
        )
        found = metadata.to_object()["topics"][0]
        if found["error_code"] == _UNKNOWN_TOPIC:
            return None
        _require(found["error_code"] in {_NO_ERROR, _LEADER_NOT_AVAILABLE}, name, found)
        settings = await self._settings(name, until=until)
        return None if settings is None else _topic(found["partitions"], settings)

    async def create(
        self,
        name: str,
        *,
        partitions: int,
        replicas: int,
        settings: Mapping[str, str],
        until: float,
    ) -> Answer:
        """Create a topic with its settings, in one request."""
        no_assignments: list[Any] = []
        topic = (name, partitions, replicas, no_assignments, list(settings.items()))
        return await self._act(
            CreateTopicsRequest([topic], _milliseconds(until), False), "topic_errors", until=until
        )

    async def set(self, name: str, settings: Mapping[str, str], *, until: float) -> Answer:
        """Set ``settings``; all others stay."""
        return await self._act(SetTopicSettings(name, settings), "resources", until=until)

    async def grow(self, name: str, partitions: int, *, until: float) -> Answer:
        """Add partitions until there are ``partitions``."""
        request = CreatePartitionsRequest([(name, (partitions, None))], _milliseconds(until), False)
        return await self._act(request, "topic_errors", until=until)

    async def delete(self, name: str, *, until: float) -> Answer:
        """Delete a topic."""
        return await self._act(
            DeleteTopicsRequest([name], _milliseconds(until)), "topic_error_codes", until=until
        )

    async def close(self) -> None:
        """Disconnect; the next request connects again."""
        async with self._opening:
            link, self._link = self._link, None
        if link is not None:
            await link.client.close()

    async def _settings(self, name: str, *, until: float) -> dict[str, Any] | None:
        wanted = [mark.SETTING, "retention.ms", "cleanup.policy"]
        described = await self._ask(
            DescribeConfigsRequest([(TOPIC, name, wanted)], False), until=until
        )
        found = described.to_object()["resources"][0]
        if found["error_code"] == _UNKNOWN_TOPIC:
            return None
        _require(found["error_code"] == _NO_ERROR, name, found)
        return {entry["config_names"]: entry for entry in found["config_entries"]}

    async def _ask(self, request: Any, *, until: float) -> Any:
        """The answer to a request that changes nothing."""
        try:
            async with asyncio.timeout_at(until), self._connected() as (client, node):
                return await client.send(node, request)
        except _TROUBLE as error:
            raise self._unavailable(error) from error

    async def _act(self, request: Any, field: str, *, until: float) -> Answer:
        """Send a request that changes something, and know whether it left."""
        sent = False
        try:
            async with asyncio.timeout_at(until), self._connected() as (client, node):
                sent = True
                response = await client.send(node, request)
                brokers = len(client.cluster.brokers())
        except _TROUBLE as error:
            if sent and not isinstance(error, _RAISED_BEFORE_SENDING):
                raise AnswerLost(
                    f"the Kafka cluster at {self._bootstrap} was asked, but its answer was lost "
                    f"({_words(error)})"
                ) from error
            raise self._unavailable(error) from error
        answer = response.to_object()[field][0]
        return Answer(
            code=answer["error_code"], message=answer.get("error_message") or "", brokers=brokers
        )

    def _unavailable(self, error: Exception) -> BackendUnavailable:
        return BackendUnavailable(
            f"the Kafka cluster at {self._bootstrap} does not answer ({_words(error)}); check that "
            "its brokers are up and reachable from here"
        )

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[Any, int]]:
        """The client and a broker that is connected: the same one as long as it lives.

        Asking one broker lets us see what we did: others may learn of it a little later.
        """
        link = await self._open()
        link.users += 1
        try:
            yield link.client, await _first_ready(link.client)
        except _TROUBLE:
            # Brokers may have moved: start from the bootstrap addresses again.
            link.retired = True
            self._link = None if self._link is link else self._link
            raise
        finally:
            link.users -= 1
            if link.retired and not link.users:
                await link.client.close()

    async def _open(self) -> _Link:
        async with self._opening:
            if self._link is None:
                client = AIOKafkaClient(
                    bootstrap_servers=self._bootstrap, client_id="busbar-kafka-topic"
                )
                try:
                    await client.bootstrap()
                except BaseException:
                    await client.close()
                    raise
                self._link = _Link(client)
            return self._link


async def _first_ready(client: Any) -> int:
    for broker in sorted(client.cluster.brokers()):
        if await client.ready(broker.nodeId):
            return int(broker.nodeId)
    raise KafkaError("no broker can be connected to")


def _topic(partitions: list[dict[str, Any]], settings: Mapping[str, Any]) -> Topic:
    marked = settings[mark.SETTING]
    inherited = marked["config_source"] != _OVERRIDE
    return Topic(
        partitions=len(partitions),
        replicas=frozenset(len(partition["replicas"]) for partition in partitions),
        unready=sum(partition["leader"] < 0 or not partition["isr"] for partition in partitions),
        mark=None if inherited else int(marked["config_value"]),
        retention_ms=int(settings["retention.ms"]["config_value"]),
        policies=frozenset(settings["cleanup.policy"]["config_value"].split(",")),
    )


def _require(condition: bool, name: str, found: Mapping[str, Any]) -> None:  # noqa: FBT001 - reads as a sentence
    if not condition:
        raise BackendUnavailable(
            f"the broker did not describe the topic {name}: Kafka error {found['error_code']} "
            f"{found.get('error_message') or ''}; busbar needs DESCRIBE and DESCRIBE_CONFIGS on it"
        )


def _milliseconds(until: float) -> int:
    return max(1, int((until - asyncio.get_running_loop().time()) * 1000))


def _words(error: Exception) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else str(error) or repr(error)
