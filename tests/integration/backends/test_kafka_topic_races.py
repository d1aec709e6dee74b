"""The Kafka topics adapter among others who act meanwhile, silent brokers, lost connections."""

import asyncio
import socket
from dataclasses import replace
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient

from busbar.backends.kafka_topic.cluster import Cluster, Topic
from busbar.backends.port import BackendUnavailable, Outcome, Presence, Result
from busbar.testing.contract import STRANGER, Inputs, applied, call_of
from support.kafka_topics import CHANGES, KafkaSubject, adapter

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


async def test_a_topic_made_between_the_look_and_the_creation_is_left_alone(
    subject: KafkaSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = call_of(subject.inputs())
    await applied(subject.backend, replace(call, owner=STRANGER))
    before = await subject.look(call.inputs)
    with monkeypatch.context() as patch:
        patch.setattr(Cluster, "look", nothing)
        outcome = await subject.backend.apply(call)
    assert (outcome.result, outcome.reason) == (Result.UNKNOWN, "ambiguous")
    assert await subject.look(call.inputs) == before
    assert (await subject.backend.observe(call)).presence is Presence.FOREIGN


async def test_no_answer_in_time_is_unknown_and_in_time(
    subject: KafkaSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = replace(call_of(subject.inputs()), timeout=1.0)
    await subject.backend.observe(call)
    with monkeypatch.context() as patch:
        patch.setattr(AIOKafkaClient, "send", silent_after(AIOKafkaClient.send))
        async with asyncio.timeout(call.timeout):
            outcome = await subject.backend.apply(call)
    assert (outcome.result, outcome.reason) == (Result.UNKNOWN, "answer_lost")
    assert (await subject.backend.observe(call)).as_asked


async def test_a_broker_that_accepts_and_says_nothing_is_unavailable_in_time() -> None:
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    backend = adapter(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    call = replace(call_of({"name": "quiet", **REST}), timeout=0.3)
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


async def test_a_topic_deleted_between_the_look_and_the_deletion_is_gone(
    subject: KafkaSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = call_of(subject.inputs())
    await applied(subject.backend, call)
    loop = asyncio.get_running_loop()
    stale = await subject.backend._cluster.look(call.inputs["name"], until=loop.time() + 5)
    assert await subject.backend.remove(call) == Outcome.done()
    look, views = Cluster.look, [stale]

    async def late(cluster: Cluster, name: str, *, until: float) -> Topic | None:
        return views.pop() if views else await look(cluster, name, until=until)

    monkeypatch.setattr(Cluster, "look", late)
    assert await subject.backend.remove(call) == Outcome.done()


async def test_brokers_that_moved_are_found_from_the_bootstrap_addresses(
    subject: KafkaSubject,
) -> None:
    call = call_of(subject.inputs())
    await applied(subject.backend, call)
    link = subject.backend._cluster._link
    assert link is not None
    await link.client.close()
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    for node, broker in link.client.cluster._brokers.items():
        link.client.cluster._brokers[node] = broker._replace(port=port)
    with pytest.raises(BackendUnavailable):
        await subject.backend.observe(call)
    assert (await subject.backend.observe(call)).as_asked


async def test_calls_at_the_same_time_share_one_client(
    subject: KafkaSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[AIOKafkaClient] = []
    bootstrap = AIOKafkaClient.bootstrap

    async def counting(client: AIOKafkaClient) -> None:
        opened.append(client)
        await bootstrap(client)

    monkeypatch.setattr(AIOKafkaClient, "bootstrap", counting)
    calls = [call_of(subject.inputs()) for _ in range(8)]
    outcomes = await asyncio.gather(*(subject.backend.apply(call) for call in calls))
    assert outcomes == [Outcome.done()] * len(calls)
    removed = await asyncio.gather(*(subject.backend.remove(call) for call in calls))
    assert removed == [Outcome.done()] * len(calls)
    assert len(opened) == 1
