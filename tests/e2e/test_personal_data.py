"""A person's data on a real platform: kept sealed wherever they are, and erased for good."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from busbar.cli.local import Platform
from busbar.kernel.ids import operation_id
from busbar.kernel.personal import ERASED, SEALED, parts_of
from busbar.messages import topics
from busbar.messages.resource import ApplyResource
from busbar.sdk import Client
from e2e.conftest import home_of
from support import eventually


@pytest.fixture
def ann() -> str:
    """The address of a person who is in no other test."""
    return f"ann-{secrets.token_hex(8)}@example.com"


def kept(platform: Platform) -> Iterator[tuple[Path, bytes]]:
    """Every file that the platform has written, but for Kafka's own."""
    for path in home_of(platform).rglob("*"):
        if path.is_file() and "kafka" not in path.parts:
            yield path, path.read_bytes()


def places_of(platform: Platform, text: str) -> list[Path]:
    return [path for path, content in kept(platform) if text.encode() in content]


async def test_a_persons_data_are_sealed_everywhere_and_can_be_erased(
    platform: Platform, client: Client, producer: AIOKafkaProducer, team: str, ann: str
) -> None:
    over_http = f"{team}/dev/event-stream/http"
    receipt = await client.apply(over_http, {"contact": ann, "partitions": 1})
    done = await client.wait(receipt.operation, timeout=60)
    assert done.status == "succeeded"

    named = {"team": team, "environment": "dev", "promise": "event-stream", "name": "kafka"}
    id_ = secrets.token_hex(8)
    event = {
        "specversion": "1.0",
        "id": id_,
        "source": "urn:test:personal",
        "type": ApplyResource.TYPE,
        "datacontenttype": "application/json",
        "data": {**named, "spec": {"contact": ann, "partitions": 1}},
    }
    headers = [("content-type", b"application/cloudevents+json")]
    over_kafka = f"{team}/dev/event-stream/kafka"
    await producer.send_and_wait(
        topics.INTENTS_RESOURCE,
        json.dumps(event).encode(),
        over_kafka.encode(),
        headers=headers,
    )
    operation = str(operation_id("urn:test:personal", id_))

    async def known() -> bool:
        return bool([one async for one in client.operations(resource=over_kafka)])

    await eventually(known, within=60, what="the operation of the intent on Kafka")
    assert (await client.wait(operation, timeout=60)).status == "succeeded"

    denied = await client.apply(over_http, {"contact": ann, "partitions": 0})
    assert (await client.wait(denied.operation, timeout=60)).status == "denied"

    seen = [await client.resource(name) for name in (over_http, over_kafka)]
    sealed = {view.spec["contact"][SEALED] for view in seen}
    assert len(sealed) == 1, "one team, one person, one value"
    revealed = [await client.resource(name, reveal=True) for name in (over_http, over_kafka)]
    assert [view.spec["contact"] for view in revealed] == [ann, ann]

    async def audited() -> bool:
        return (await client.completeness()).complete

    await eventually(audited, within=60, what="a complete audit log")
    assert places_of(platform, ann) == []

    subject, _ = parts_of(sealed.pop())
    assert places_of(platform, subject) != [], "the search finds what is there"
    erasing = await client.erase_subject(ann.upper())
    done = await client.wait(erasing.operation, timeout=60)
    assert (done.status, "is erased" in done.detail) == ("succeeded", True)
    assert subject in done.detail
    for name in (over_http, over_kafka):
        view = await client.resource(name, reveal=True)
        assert view.spec["contact"] == {ERASED: subject}
    await eventually(audited, within=60, what="a complete audit log after the erasure")
    assert places_of(platform, ann) == []

    again = await client.erase_subject(ann)
    done = await client.wait(again.operation, timeout=60)
    assert "nothing to erase" in done.detail

    new = await client.apply(over_http, {"contact": ann, "partitions": 1})
    assert (await client.wait(new.operation, timeout=60)).status == "succeeded"
    view = await client.resource(over_http, reveal=True)
    assert view.spec["contact"] == ann, "data that come later are new data"
    for name in (over_http, over_kafka):
        gone = await client.delete(name)
        assert (await client.wait(gone.operation, timeout=60)).status == "succeeded"
