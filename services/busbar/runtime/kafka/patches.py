"""Changes to aiokafka.

Polls are longer and timeouts shorter, commits do not change the membership of the group, hashes of
keys are cached, and connections report that they are closed on uvloop as well.
"""

from collections.abc import Awaitable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition, conn
from aiokafka.client import ConnectionGroup
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.consumer import fetcher
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    KafkaConnectionError,
    KafkaError,
    for_code,
)
from aiokafka.partitioner import DefaultPartitioner, murmur2
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import HeartbeatRequest, LeaveGroupRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import InitProducerIdRequest

from busbar.runtime.kafka.header_names import LenientRecords

POLL_WAIT_MS = 1000
"""Longest wait of a poll for the first record. A service that stops does not wait for it."""

MAX_POLL_FAILURES = 3
"""Consecutive failed polls, five seconds apart, after which the consumer counts as dead."""

CONNECT_SECONDS = 2.0
"""Time for a connection to be made. A short one finds a broker soon that answers again."""

ANSWER_SECONDS = 3.0
"""Time for the answer to a request of a kind that brokers answer immediately."""

METADATA_SECONDS = 2.0
"""Time for an answer about metadata, by which the health of the broker is checked."""

FAST_REQUESTS = (
    ApiVersionRequest,
    FetchRequest,
    FindCoordinatorRequest,
    HeartbeatRequest,
    InitProducerIdRequest,
    LeaveGroupRequest,
    OffsetCommitRequest,
    OffsetFetchRequest,
    OffsetRequest,
    ProduceRequest,
)
"""Requests that brokers answer immediately; others wait for members of a group or other brokers."""

_default = DefaultPartitioner()
_hash = lru_cache(maxsize=4096)(murmur2)


class PollingConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka is untyped
    """A consumer whose polls wait for records; FastStream would poll a hundred times a second."""

    failed = 0
    """Consecutive polls that raised: permanent errors, as an unreachable broker does not raise."""

    @property
    def is_dead(self) -> bool:
        """True if further polls are pointless; FastStream would poll indefinitely."""
        return self.failed >= MAX_POLL_FAILURES

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Return the available records; nothing if none arrives within a second."""
        try:
            found: dict[TopicPartition, list[ConsumerRecord]] = await super().getmany(
                *partitions, timeout_ms=max(timeout_ms, POLL_WAIT_MS), max_records=max_records
            )
        except KafkaError:
            self.failed += 1
            raise
        self.failed = 0
        return found

    async def commit_within_generation(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit ``offsets`` as a member of the current generation of the group, once.

        aiokafka's own ``commit`` retries for as long as the client lives, also after the caller has
        given up. An answer that says that its generation has ended then resets the generation that
        has been joined meanwhile, and the group rebalances again. Here nothing but the caller
        learns of an error: the heartbeat finds out whether the consumer has to join again.

        Raises:
            KafkaError: the offsets are not committed, as far as is known.
        """
        coordinator = self._coordinator
        node = coordinator.coordinator_id
        if node is None:
            raise GroupCoordinatorNotAvailableError
        topics: dict[str, list[tuple[int, int, str]]] = {}
        for tp, offset in offsets.items():
            topics.setdefault(tp.topic, []).append((tp.partition, offset, ""))
        request = OffsetCommitRequest(
            coordinator.group_id,
            coordinator.generation,
            coordinator.member_id,
            OffsetCommitRequest.DEFAULT_RETENTION_TIME,
            list(topics.items()),
        )
        answer = await self._client.send(node, request, group=ConnectionGroup.COORDINATION)
        for _topic, partitions in answer.topics:
            for _partition, code in partitions:
                if code:
                    raise for_code(code)


class ResilientConnection(AIOKafkaConnection):  # type: ignore[misc]  # aiokafka is untyped
    """A connection that gives up requests without an answer soon, and is closed then.

    aiokafka waits for every answer as long as the slowest kind of request needs, which is joining a
    group. A connection whose other end is gone would be noticed as late as that. After a request
    for metadata it even keeps such a connection: a service that publishes nothing would use it on
    and on.

    A write to a closed transport raises an ``OSError`` or nothing with asyncio, and a
    ``RuntimeError`` with uvloop. aiokafka does not expect the latter: it permanently ends the task
    that keeps the consumer in its group.
    """

    _request_timeout: float
    """Seconds until an answer counts as missing; set by aiokafka."""

    def send(self, request: Any, expect_response: bool = True) -> Any:  # noqa: FBT001, FBT002 - its signature
        """Send ``request``; the result waits for the answer, and raises a ``TimeoutError``.

        Raises:
            KafkaConnectionError: the connection is closed.
        """
        longest = self._request_timeout
        if isinstance(request, MetadataRequest):
            self._request_timeout = min(METADATA_SECONDS, longest)
        elif isinstance(request, FAST_REQUESTS):
            self._request_timeout = min(ANSWER_SECONDS, longest)
        try:
            sent = super().send(request, expect_response)
        except RuntimeError as error:
            self.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"{self.host}:{self.port} is closed: {error}") from error
        finally:
            self._request_timeout = longest
        return self._answered(sent) if expect_response else sent

    async def _answered(self, answer: Awaitable[Any]) -> Any:
        try:
            return await answer
        except TimeoutError:
            self.close(reason=CloseReason.CONNECTION_TIMEOUT)
            raise

    async def connect(self) -> Any:
        """Connect within two seconds."""
        longest, self._request_timeout = self._request_timeout, CONNECT_SECONDS
        try:
            return await super().connect()
        finally:
            self._request_timeout = longest


def apply() -> None:
    """Apply the patches to aiokafka for every client of this process; idempotent."""
    conn.AIOKafkaConnection = ResilientConnection
    fetcher.MemoryRecords = LenientRecords


def partition_of(key: bytes | None, everything: Sequence[int], available: Sequence[int]) -> int:
    """Return the partition of ``key``, chosen like Kafka's own clients do.

    The hash is cached: it is computed in Python, and a resource has several facts in a row.
    """
    if key is None:
        return int(_default(key, everything, available))
    return everything[int(_hash(key) & 0x7FFFFFFF) % len(everything)]
