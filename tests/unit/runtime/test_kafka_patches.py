"""Tests of the patches to aiokafka."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, conn
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.protocol.metadata import MetadataRequest
from hypothesis import given
from hypothesis import strategies as st

import busbar.runtime.kafka.bus  # noqa: F401 - it installs them
from busbar.runtime.kafka import patches
from busbar.runtime.kafka.patches import PollingConsumer, ResilientConnection, partition_of


@given(keys=st.lists(st.binary(max_size=40), min_size=1), count=st.integers(1, 24))
def test_a_key_has_the_partition_that_other_clients_would_choose(
    keys: list[bytes], count: int
) -> None:
    partitions = list(range(count))
    for key in (*keys, *keys):
        assert partition_of(key, partitions, partitions) == DefaultPartitioner()(
            key, partitions, partitions
        )


def test_a_record_without_a_key_goes_to_a_partition_that_has_a_leader() -> None:
    assert {partition_of(None, [0, 1, 2, 3], [1, 3]) for _ in range(200)} == {1, 3}


async def test_a_connection_that_uvloop_has_closed_is_a_broken_connection() -> None:
    """aiokafka expects an OSError; any other error permanently ends its consumer."""

    class Closed:
        def write(self, _data: bytes) -> None:
            raise RuntimeError("the handler is closed")

    class Request:
        def prepare(self, _versions: Any) -> "Request":
            return self

        def build_request_header(self, **_: Any) -> "Request":
            return self

        def encode(self) -> bytes:
            return b""

    patches.apply()
    assert conn.AIOKafkaConnection is ResilientConnection
    connection = ResilientConnection("127.0.0.1", 1)
    connection._writer = Closed()
    closed: list[Any] = []

    def close(*, reason: Any) -> None:
        closed.append(reason)

    connection.close = close
    with pytest.raises(KafkaConnectionError, match="closed"):
        connection.send(Request())
    assert closed == [conn.CloseReason.CONNECTION_BROKEN]


async def test_a_connection_is_closed_if_an_answer_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A service that publishes nothing only asks for metadata, by which its health is checked."""
    monkeypatch.setattr(patches, "METADATA_SECONDS", 0.1)
    asked, ended = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        asked.set()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        ended.set()

    async def known_versions(self: Any) -> None:
        self._versions = {MetadataRequest.API_KEY: (0, 5)}

    monkeypatch.setattr(ResilientConnection, "_do_version_lookup", known_versions)
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        connection = ResilientConnection("127.0.0.1", server.sockets[0].getsockname()[1])
        await connection.connect()
        assert connection.connected()
        with pytest.raises(TimeoutError):
            await connection.send(MetadataRequest(None))
        assert asked.is_set()
        assert not connection.connected()
        await connection.close()  # returns when the socket is closed
        await ended.wait()


async def test_a_consumer_that_fails_at_every_poll_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """FastStream would poll it every five seconds indefinitely, unnoticed."""
    outcomes: list[Any] = [KafkaError(), KafkaError(), {}, KafkaError(), KafkaError(), KafkaError()]

    async def getmany(_consumer: Any, *_partitions: Any, **_options: Any) -> Any:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(AIOKafkaConsumer, "getmany", getmany)
    consumer = PollingConsumer()
    dead = []
    while outcomes:
        with suppress(KafkaError):
            await consumer.getmany()
        dead.append(consumer.is_dead)
    await consumer.stop()
    assert dead == [False, False, False, False, False, True]
