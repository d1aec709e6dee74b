"""The workload: intents for a promise with one ``noop`` step, and the facts that follow."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from busbar.kernel.ids import operation_id
from busbar.messages import topics
from busbar.messages.base import Message
from busbar.messages.codec import kafka as codec
from busbar.messages.envelope import Envelope
from busbar.messages.resource import (
    ApplyResource,
    ResourceProvisioned,
    ResourceQueued,
    StepStarted,
    StepSucceeded,
)
from busbar.messages.signing import SigningKey, sign
from busbar.runtime.core.bus import PUBLISHED_BYTES, Outgoing

PROMISES = Path(__file__).with_name("promises")
PROMISE = "nothing"
SOURCE = "urn:bench"
TEAMS = 50
_WHEN = datetime(2026, 1, 1, 12, tzinfo=UTC)


def resource_of(number: int, label: str, *, teams: int = TEAMS) -> str:
    """The ``number``-th resource of ``label``; they belong to ``teams`` teams in turn."""
    return f"team-{number % teams}/dev/{PROMISE}/{label}-{number}"


def operation_of(number: int, label: str) -> str:
    """The operation of the ``number``-th intent of ``label``."""
    return str(operation_id(SOURCE, f"{label}-{number}"))


def intent(number: int, label: str, *, teams: int = TEAMS) -> Outgoing:
    """The record that asks for the ``number``-th resource of ``label``."""
    resource = resource_of(number, label, teams=teams)
    team, environment, promise, name = resource.split("/")
    headers, value, key = codec.write(
        Envelope(
            id=f"{label}-{number}",
            source=SOURCE,
            type=ApplyResource.TYPE,
            subject=resource,
            time=_WHEN,
            data={
                "team": team,
                "environment": environment,
                "promise": promise,
                "name": name,
                "spec": {"size": 1 + number % 100, "label": f"what {team} calls number {number}"},
            },
            key=resource,
        )
    )
    return Outgoing(topics.INTENTS_RESOURCE, key, value, headers)


def signed(record: Outgoing, key: SigningKey) -> Outgoing:
    """``record``, signed with ``key``."""
    headers = list(record.headers)
    signature = sign(
        key, topic=record.topic, record_key=record.key, headers=headers, value=record.value
    )
    return record._replace(headers=[*headers, signature])


def intents(count: int, label: str, *, teams: int = TEAMS) -> list[Outgoing]:
    """``count`` of them, each for a resource of its own."""
    return [intent(number, label, teams=teams) for number in range(count)]


def facts(resource: str, operation: str) -> list[Message]:
    """Five facts of one operation, as the provisioner records them."""
    about = {"operation": operation, "resource": resource}
    wanted: Sequence[type[Message]] = (
        ResourceQueued,
        StepStarted,
        StepSucceeded,
        StepSucceeded,
        ResourceProvisioned,
    )
    return [model.model_validate({**_example(model), **about}) for model in wanted]


def _example(model: type[Message]) -> dict[str, Any]:
    return dict(model.EXAMPLES[0])


@asynccontextmanager
async def producing(bootstrap: str) -> AsyncIterator[AIOKafkaProducer]:
    """An idempotent producer."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        enable_idempotence=True,
        max_batch_size=PUBLISHED_BYTES,
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def publish(
    producer: AIOKafkaProducer, records: Iterable[Outgoing], *, topic: str | None = None
) -> None:
    """Publish ``records`` in a burst; returns when all of them are acknowledged."""
    pending = [
        await producer.send(
            topic or record.topic, record.value, key=record.key, headers=list(record.headers)
        )
        for record in records
    ]
    for answer in pending:
        await answer
