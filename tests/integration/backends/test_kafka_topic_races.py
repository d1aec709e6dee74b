"""The Kafka topics adapter with concurrent changes, silent brokers and lost connections."""

import asyncio
import socket
from dataclasses import replace
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient

from busbar.backends.kafka_topic.cluster import Cluster, Topic
from busbar.backends.port import BackendUnavailable, Outcome, Presence, Result
from busbar.testing.contract import OTHER_OWNER, Inputs, apply_and_observe, make_call
from support.kafka_topics import CHANGES, KafkaHarness, adapter

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(60)]

REST: Inputs = {"partitions": 1, "replicas": 1, "retention_hours": 1, "compacted": False}


async def nothing(_cluster: Cluster, _name: str, *, until: float) -> None:
    assert until > 0


def silent_after(send: Any) -> Any:
    async def silent(client: AIOKafkaClient, node: int, request: Any) -> Any:
        answer = await send(client, node, request)
        if isinstance(request, CHANGES):
            await asyncio.Event().wait()
        return answer

    return silent


async def test_a_topic_created_between_observation_and_creation_is_not_touched(
    harness: KafkaHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = make_call(harness.inputs())
    await apply_and_observe(harness.backend, replace(call, owner=OTHER_OWNER))
    before = await harness.inspect(call.inputs)
    with monkeypatch.context() as patch:
        patch.setattr(Cluster, "describe", nothing)
        outcome = await harness.backend.apply(call)
    assert (outcome.result, outcome.reason) == (Result.UNKNOWN, "ambiguous")
    assert await harness.inspect(call.inputs) == before
    assert (await harness.backend.observe(call)).presence is Presence.FOREIGN


async def test_a_missing_answer_is_unknown_before_the_deadline(
    harness: KafkaHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = replace(make_call(harness.inputs()), timeout=1.0)
    await harness.backend.observe(call)
    with monkeypatch.context() as patch:
        patch.setattr(AIOKafkaClient, "send", silent_after(AIOKafkaClient.send))
        async with asyncio.timeout(call.timeout):
            outcome = await harness.backend.apply(call)
    assert (outcome.result, outcome.reason) == (Result.UNKNOWN, "answer_lost")
    assert (await harness.backend.observe(call)).as_asked


async def test_a_silent_broker_is_unavailable_before_the_deadline() -> None:
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    backend = adapter(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    call = replace(make_call({"name": "quiet", **REST}), timeout=0.3)
    async with asyncio.timeout(5):
        with pytest.raises(BackendUnavailable, match="no answer in time"):
            await backend.observe(call)
        for act in (backend.apply, backend.remove):
            outcome = await act(call)
            assert (outcome.result, outcome.reason) == (Result.NOT_DONE, "unavailable")
    await backend.close()
    for writer in held:
        writer.close()
    server.close()
    await server.wait_closed()


async def test_a_topic_deleted_between_observation_and_deletion_counts_as_removed(
    harness: KafkaHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = make_call(harness.inputs())
    await apply_and_observe(harness.backend, call)
    loop = asyncio.get_running_loop()
    stale = await harness.backend._cluster.describe(call.inputs["name"], until=loop.time() + 5)
    assert await harness.backend.remove(call) == Outcome.done()
    describe, views = Cluster.describe, [stale]

    async def late(cluster: Cluster, name: str, *, until: float) -> Topic | None:
        return views.pop() if views else await describe(cluster, name, until=until)

    monkeypatch.setattr(Cluster, "describe", late)
    assert await harness.backend.remove(call) == Outcome.done()


async def test_brokers_that_moved_are_found_from_the_bootstrap_addresses(
    harness: KafkaHarness,
) -> None:
    call = make_call(harness.inputs())
    await apply_and_observe(harness.backend, call)
    connection = harness.backend._cluster._connection
    assert connection is not None
    await connection.client.close()
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    for node, broker in connection.client.cluster._brokers.items():
        connection.client.cluster._brokers[node] = broker._replace(port=port)
    with pytest.raises(BackendUnavailable):
        await harness.backend.observe(call)
    assert (await harness.backend.observe(call)).as_asked


async def test_concurrent_calls_share_one_client(
    harness: KafkaHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[AIOKafkaClient] = []
    bootstrap = AIOKafkaClient.bootstrap

    async def counting(client: AIOKafkaClient) -> None:
        opened.append(client)
        await bootstrap(client)

    monkeypatch.setattr(AIOKafkaClient, "bootstrap", counting)
    calls = [make_call(harness.inputs()) for _ in range(8)]
    outcomes = await asyncio.gather(*(harness.backend.apply(call) for call in calls))
    assert outcomes == [Outcome.done()] * len(calls)
    removed = await asyncio.gather(*(harness.backend.remove(call) for call in calls))
    assert removed == [Outcome.done()] * len(calls)
    assert len(opened) == 1
