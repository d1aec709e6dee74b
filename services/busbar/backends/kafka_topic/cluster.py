"""A client of the Kafka cluster, connected on first use and reconnected after an error.

It uses aiokafka's low-level client, not its admin client: that one describes a topic with a request
that lets the broker *create* the topic (``auto.create.topics.enable`` is Kafka's default), and it
does not say whether a request had been sent when it failed.
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

from busbar.backends.calls import AnswerLost
from busbar.backends.kafka_topic import mark
from busbar.backends.kafka_topic.requests import TOPIC, SetTopicSettings
from busbar.backends.port import BackendUnavailable

_NO_ERROR: Final = 0
_UNKNOWN_TOPIC: Final = 3
_LEADER_NOT_AVAILABLE: Final = 5
_OVERRIDE: Final = 1
"""``DescribeConfigsResponse.ConfigSource.TOPIC_CONFIG``: set on the topic, not inherited."""

_CLIENT_ERRORS: Final = (KafkaError, OSError, TimeoutError)
_RAISED_BEFORE_SENDING: Final = (NodeNotReadyError, IncompatibleBrokerVersion)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """The state of a topic."""

    partitions: int
    replicas: frozenset[int]
    """Replicas of its partitions; one number unless a reassignment is in progress."""
    unready: int
    """Partitions without a leader or without a replica in sync."""
    mark: int | None
    retention_ms: int
    policies: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A broker's response to a change; ``code`` is Kafka's error code, 0 for success."""

    code: int
    message: str
    brokers: int
    """Brokers in the cluster, for the explanation of a refusal."""


@dataclass(slots=True)
class _Connection:
    client: Any
    users: int = 0
    closing: bool = False


class Cluster:
    """Describes and changes topics. Safe for concurrent use within one event loop.

    Every method takes ``until``, a deadline on the loop's clock. All of them raise
    :class:`BackendUnavailable` if nothing was sent; those that change something raise
    :class:`AnswerLost` if something was.
    """

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()

    async def describe(self, name: str, *, until: float) -> Topic | None:
        """Return the topic, or None. The request forbids the broker to create it."""
        metadata = await self._query(
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
    ) -> Response:
        """Create a topic with its settings, in one request."""
        no_assignments: list[Any] = []
        topic = (name, partitions, replicas, no_assignments, list(settings.items()))
        return await self._change(
            CreateTopicsRequest([topic], _milliseconds(until), False), "topic_errors", until=until
        )

    async def alter_settings(
        self, name: str, settings: Mapping[str, str], *, until: float
    ) -> Response:
        """Change ``settings`` and leave all others unchanged."""
        return await self._change(SetTopicSettings(name, settings), "resources", until=until)

    async def add_partitions(self, name: str, partitions: int, *, until: float) -> Response:
        """Add partitions, up to a total of ``partitions``."""
        request = CreatePartitionsRequest([(name, (partitions, None))], _milliseconds(until), False)
        return await self._change(request, "topic_errors", until=until)

    async def delete(self, name: str, *, until: float) -> Response:
        """Delete a topic."""
        return await self._change(
            DeleteTopicsRequest([name], _milliseconds(until)), "topic_error_codes", until=until
        )

    async def close(self) -> None:
        """Disconnect; the next request connects again."""
        async with self._connecting:
            connection, self._connection = self._connection, None
        if connection is not None:
            await connection.client.close()

    async def _settings(self, name: str, *, until: float) -> dict[str, Any] | None:
        wanted = [mark.SETTING, "retention.ms", "cleanup.policy"]
        described = await self._query(
            DescribeConfigsRequest([(TOPIC, name, wanted)], False), until=until
        )
        found = described.to_object()["resources"][0]
        if found["error_code"] == _UNKNOWN_TOPIC:
            return None
        _require(found["error_code"] == _NO_ERROR, name, found)
        return {entry["config_names"]: entry for entry in found["config_entries"]}

    async def _query(self, request: Any, *, until: float) -> Any:
        """Send a request that changes nothing."""
        try:
            async with asyncio.timeout_at(until), self._connected() as (client, node):
                return await client.send(node, request)
        except _CLIENT_ERRORS as error:
            raise self._unavailable(error) from error

    async def _change(self, request: Any, field: str, *, until: float) -> Response:
        """Send a request that changes something, and track whether it was sent."""
        sent = False
        try:
            async with asyncio.timeout_at(until), self._connected() as (client, node):
                sent = True
                response = await client.send(node, request)
                brokers = len(client.cluster.brokers())
        except _CLIENT_ERRORS as error:
            if sent and not isinstance(error, _RAISED_BEFORE_SENDING):
                raise AnswerLost(
                    f"the Kafka cluster at {self._bootstrap} got the request, but its answer was "
                    f"lost ({_message(error)})"
                ) from error
            raise self._unavailable(error) from error
        result = response.to_object()[field][0]
        return Response(
            code=result["error_code"], message=result.get("error_message") or "", brokers=brokers
        )

    def _unavailable(self, error: Exception) -> BackendUnavailable:
        return BackendUnavailable(
            f"the Kafka cluster at {self._bootstrap} does not answer ({_message(error)}); check "
            "that its brokers are up and reachable from here"
        )

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[Any, int]]:
        """Yield the client and a connected broker, the same one for as long as it is up.

        One broker shows its own changes immediately, while others may learn of them later.
        """
        connection = await self._connect()
        connection.users += 1
        try:
            yield connection.client, await _first_ready(connection.client)
        except _CLIENT_ERRORS:
            # Brokers may have moved: start from the bootstrap addresses again.
            connection.closing = True
            self._connection = None if self._connection is connection else self._connection
            raise
        finally:
            connection.users -= 1
            if connection.closing and not connection.users:
                await connection.client.close()

    async def _connect(self) -> _Connection:
        async with self._connecting:
            if self._connection is None:
                client = AIOKafkaClient(
                    bootstrap_servers=self._bootstrap, client_id="busbar-kafka-topic"
                )
                try:
                    await client.bootstrap()
                except BaseException:
                    await client.close()
                    raise
                self._connection = _Connection(client)
            return self._connection


async def _first_ready(client: Any) -> int:
    for broker in sorted(client.cluster.brokers()):
        if await client.ready(broker.nodeId):
            return int(broker.nodeId)
    raise KafkaError("no broker accepts a connection")


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


def _message(error: Exception) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else str(error) or repr(error)
