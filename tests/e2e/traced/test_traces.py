"""One trace from the producer to the webhook, through every service and every topic."""

import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiokafka import AIOKafkaProducer

from busbar.cli.local import Platform
from busbar.kernel.ids import operation_id
from busbar.sdk import Client
from support import eventually
from support.otlp import Collector
from support.tracing import SpanRecord
from support.webhooks import receiving, subscribe

SOURCE = "urn:test:traced"
TOPIC = "busbar.intents.resource"


def traceparent() -> str:
    """A new trace."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


@asynccontextmanager
async def subscribed(
    platform: Platform, client: Client, team: str
) -> AsyncIterator[list[Mapping[str, str]]]:
    """A receiver of provisioned resources; the headers that it received."""
    received: list[Mapping[str, str]] = []

    async def hook(request: web.Request) -> web.Response:
        received.append(dict(request.headers))
        return web.Response(status=204)

    async with receiving(hook) as url:
        await subscribe(client, platform.home, team=team, url=url)
        yield received


async def publish(producer: AIOKafkaProducer, team: str, trace: str) -> str:
    """Ask for an event stream straight on Kafka; the operation."""
    id_ = secrets.token_hex(8)
    headers = {
        "ce_specversion": "1.0",
        "ce_id": id_,
        "ce_source": SOURCE,
        "ce_type": "busbar.resource.apply.v1",
        "ce_traceparent": trace,
        "content-type": "application/json",
    }
    asked = {"team": team, "environment": "dev", "promise": "event-stream", "name": "orders"}
    await producer.send_and_wait(
        TOPIC,
        json.dumps({**asked, "spec": {"partitions": 1}}).encode(),
        key=f"{team}/dev/event-stream/orders".encode(),
        headers=[(name, value.encode()) for name, value in headers.items()],
    )
    return str(operation_id(SOURCE, id_))


def chain(spans: list[SpanRecord], span_id: str) -> list[str]:
    """Return the ancestors of a span from the top: service and name of each."""
    known = {span.span_id: span for span in spans}
    found: list[str] = []
    while span_id in known:
        span = known[span_id]
        found.insert(0, f"{span.service}: {span.name}")
        span_id = span.parent_id or ""
    return [*([f"above {span_id}"] if span_id else []), *found]


async def complete(collector: Collector, trace_id: str, *names: str) -> list[SpanRecord]:
    """The spans of a trace once there is one of each of ``names``."""

    def found() -> list[SpanRecord]:
        spans = collector.spans(trace_id)
        return spans if {*names} <= {span.name for span in spans} else []

    return await eventually(found, within=30, what=f"spans called {names}")


async def test_one_trace_goes_from_a_producer_on_kafka_to_the_webhook(
    platform: Platform,
    collector: Collector,
    client: Client,
    producer: AIOKafkaProducer,
    team: str,
) -> None:
    trace = traceparent()
    _, trace_id, asking, _ = trace.split("-")
    async with subscribed(platform, client, team) as received:
        await publish(producer, team, trace)
        await eventually(lambda: received, within=30, what="the webhook")
    _, sent_trace, sent_span, _ = received[0]["traceparent"].split("-")
    assert sent_trace == trace_id
    spans = await complete(collector, trace_id, "POST webhook", "apply kafka-topic")
    assert chain(spans, sent_span) == [
        f"above {asking}",
        "busbar-policy: process busbar.intents.resource",
        "busbar-provisioner: process busbar.facts.policy",
        "busbar-notifier: process busbar.facts.resource",
        "busbar-notifier: POST webhook",
    ]
    (acting,) = [span for span in spans if span.name == "apply kafka-topic"]
    assert chain(spans, acting.span_id)[1:] == [
        "busbar-policy: process busbar.intents.resource",
        "busbar-provisioner: process busbar.facts.policy",
        "busbar-provisioner: apply kafka-topic",
    ]
    assert {span.kind for span in spans} == {"consumer", "client"}
    assert {span.error for span in spans} == {None}
    assert team not in str([(span.name, span.attributes) for span in spans])


async def test_one_trace_goes_from_a_program_through_the_gateway(
    platform: Platform, collector: Collector, client: Client, team: str
) -> None:
    import aiohttp  # noqa: PLC0415 - as a program would that knows no SDK

    trace = traceparent()
    _, trace_id, asking, _ = trace.split("-")
    token = platform.token_file.read_text(encoding="ascii").strip()
    event = {
        "specversion": "1.0",
        "id": secrets.token_hex(8),
        "source": SOURCE,
        "type": "busbar.resource.apply.v1",
        "data": {
            "team": team,
            "environment": "dev",
            "promise": "event-stream",
            "name": "orders",
            "spec": {"partitions": 1},
        },
    }
    headers = {
        "authorization": f"Bearer {token}",
        "content-type": "application/cloudevents+json",
        "traceparent": trace,
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{platform.url}/v1/events", json=event, headers=headers) as response,
    ):
        assert response.status == 202
        operation = (await response.json())["operation"]
    assert (await client.wait(operation, timeout=30)).status == "succeeded"
    spans = await complete(collector, trace_id, "process busbar.facts.policy", "POST /v1/events")
    (acting,) = [
        span
        for span in spans
        if (span.service, span.name) == ("busbar-provisioner", "process busbar.facts.policy")
    ]
    assert chain(spans, acting.span_id) == [
        f"above {asking}",
        "busbar-gateway: POST /v1/events",
        "busbar-policy: process busbar.intents.resource",
        "busbar-provisioner: process busbar.facts.policy",
    ]
    assert token not in str(spans)


@pytest.mark.parametrize("bad", ["nonsense", f"00-{'0' * 32}-{'1' * 16}-01"])
async def test_a_bad_traceparent_holds_nothing_up(
    client: Client, producer: AIOKafkaProducer, team: str, bad: str
) -> None:
    operation = await publish(producer, team, bad)

    async def ended() -> bool:
        return (await client.operation(operation)).status == "succeeded"

    await eventually(ended, within=30, what="the end of the operation")


async def test_log_lines_of_a_step_lead_to_its_trace(
    platform: Platform, client: Client, producer: AIOKafkaProducer, team: str
) -> None:
    trace = traceparent()
    operation = await publish(producer, team, trace)
    await eventually(lambda: client.wait(operation, timeout=30), within=40)

    def traced() -> bool:
        log = (platform.home / "logs" / "provisioner.log").read_text(encoding="utf-8")
        lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
        found = [line for line in lines if line.get("trace_id") == trace.split("-")[1]]
        return any(line["event"] == "step_acted" for line in found)

    await eventually(traced, what="a line with the id of the trace")
