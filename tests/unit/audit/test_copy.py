"""Every record is stored; unreadable ones are stored encrypted."""

import base64
import json
from pathlib import Path

import pytest

from busbar.kernel.ids import event_id, operation_id
from busbar.messages import topics
from busbar.messages.delivery import RedriveDeadLetter
from busbar.messages.envelope import Envelope
from busbar.messages.notification import DeleteSubscription
from busbar.messages.resource import ApplyResource, ResourceProvisioned
from busbar.runtime.consume.dead_letters import unpack
from busbar.runtime.store import Store
from support.runtime import (
    BEGIN,
    cipher,
)
from unit.audit.conftest import SOURCE, Bus

INTENT = ApplyResource.model_validate(ApplyResource.EXAMPLES[0])
ORDERS = "payments/dev/event-stream/orders"


def on_disk(folder: Path) -> bytes:
    """Everything in ``folder``, the write-ahead log included."""
    return b"\n".join(path.read_bytes() for path in sorted(folder.iterdir()))


async def test_an_intent_is_kept_with_who_asked_and_what_it_names(bus: Bus, store: Store) -> None:
    record = bus.message(INTENT, "intent-1", authid="local", partition=7)
    await bus.consume()
    (kept,) = await bus.copy()
    assert (kept.topic, kept.partition, kept.offset) == (record.topic, 7, 0)
    assert (kept.source, kept.id, kept.type) == (SOURCE, "intent-1", ApplyResource.TYPE)
    assert (kept.resource, kept.operation) == (ORDERS, str(operation_id(SOURCE, "intent-1")))
    assert (kept.key, kept.readable, kept.relay, kept.sequence) == ("k", True, None, None)
    assert kept.data == INTENT.model_dump(mode="json")
    (stored,) = await store.events()
    assert json.loads(stored.metadata)["extensions"] == {"authid": "local"}


@pytest.mark.parametrize("sequence", ["9" * 20, "9" * 4096, "-1", "1.5", "\u0663", "", "one"])
async def test_a_sequence_that_no_relay_writes_is_not_a_number(bus: Bus, sequence: str) -> None:
    bus.message(INTENT, "intent-1", sequence=sequence)
    bus.message(INTENT, "intent-2", sequence=f"{2**63 - 1:020d}")
    await bus.consume()
    assert [kept.sequence for kept in await bus.copy()] == [None, 2**63 - 1]


async def test_a_fact_is_kept_with_its_number_operation_and_resource(bus: Bus) -> None:
    fact = ResourceProvisioned.model_validate(ResourceProvisioned.EXAMPLES[0])
    bus.message(fact, "f", relay="provisioner")
    await bus.consume()
    (kept,) = await bus.copy()
    assert (kept.relay, kept.sequence) == ("provisioner", 1)
    assert (kept.resource, kept.operation) == (fact.resource, str(fact.operation))


async def test_the_copy_is_found_by_resource_and_by_operation(bus: Bus) -> None:
    fact = ResourceProvisioned.model_validate(
        {
            **ResourceProvisioned.EXAMPLES[0],
            "operation": operation_id(SOURCE, "1"),
            "resource": ORDERS,
        }
    )
    bus.message(INTENT, "1")
    bus.message(DeleteSubscription(team="payments", name="s"), "2")
    bus.message(fact, "3", relay="provisioner")
    await bus.consume()
    assert [kept.id for kept in await bus.copy(resource=ORDERS)] == ["1", "3"]
    of_one = await bus.copy(operation=str(operation_id(SOURCE, "1")))
    assert [kept.id for kept in of_one] == ["1", "3"]
    assert [kept.id for kept in await bus.copy()] == ["1", "2", "3"]


async def test_an_event_of_unknown_type_belongs_to_the_operation_that_answers_it(bus: Bus) -> None:
    envelope = Envelope(id="1", source=SOURCE, type="com.example.x", data={"operation": "forged"})
    bus.event(envelope, topics.INTENTS_RESOURCE)
    await bus.consume()
    (kept,) = await bus.copy()
    assert kept.operation == str(operation_id(SOURCE, "1"))


async def test_what_cannot_be_read_is_kept_sealed_and_whole(
    bus: Bus, store: Store, tmp_path: Path
) -> None:
    secrets = (b"{swordfish", b"k-swordfish", b"h-swordfish")
    bus.raw(topics.FACTS_POLICY, secrets[0], key=secrets[1], headers=[("x", secrets[2])])
    bus.raw(topics.FACTS_POLICY, None)
    bus.raw(topics.FACTS_POLICY, b"")
    bus.raw(topics.FACTS_POLICY, b"\xff", key=b"\xff")
    await bus.consume()
    kept = await bus.copy()
    assert [record.readable for record in kept] == [False] * 4
    assert all(record.data is None and record.operation is None for record in kept)
    first = (await store.events())[0]
    data = json.loads(first.data)
    assert data["reason"] == "not_a_cloudevent"
    id_ = event_id("audit", f"{topics.FACTS_POLICY}/0", "0", 0)
    opened = unpack(cipher().decrypt(base64.b64decode(data["sealed"]), context=id_))
    assert (opened.value, opened.key, opened.headers[0][1]) == secrets
    assert b"not_a_cloudevent" in on_disk(tmp_path)
    assert b"swordfish" not in on_disk(tmp_path)


async def test_a_tombstone_and_an_event_without_data_are_distinguished(bus: Bus) -> None:
    bus.raw(topics.FACTS_POLICY, None)
    bus.event(Envelope(id="1", source=SOURCE, type="t", data=None), topics.FACTS_POLICY)
    await bus.consume()
    assert [kept.readable for kept in await bus.copy()] == [False, True]


async def test_a_record_that_is_delivered_again_is_kept_once(bus: Bus) -> None:
    records = [bus.message(INTENT, "1"), bus.raw(topics.FACTS_HEAD, b"x")]
    await bus.consume(*records)
    before = await bus.copy()
    await bus.consume(*records)
    assert await bus.copy() == before
    assert len(before) == 2


async def test_an_event_that_is_published_twice_is_kept_twice(bus: Bus) -> None:
    bus.message(INTENT, "1")
    bus.message(INTENT, "1")
    await bus.consume()
    assert [(kept.id, kept.offset) for kept in await bus.copy()] == [("1", 0), ("1", 1)]


async def test_an_event_without_a_time_has_the_time_of_its_record(bus: Bus) -> None:
    bus.message(INTENT, "1", timed=False)
    bus.clock.advance(100)
    await bus.consume()
    (kept,) = await bus.copy()
    assert BEGIN.year == 2026
    assert kept.time == "2026-01-01T12:00:01.000000Z"
    assert kept.recorded_time == "2026-01-01T12:01:41.000000Z"


async def test_every_topic_is_kept_requests_for_redrives_included(bus: Bus) -> None:
    redrive = RedriveDeadLetter(service="audit", dead_letter="x")
    bus.message(redrive, "r")
    for topic in topics.ALL:
        bus.raw(topic, b"?")
    await bus.consume()
    assert {kept.topic for kept in await bus.copy()} == set(topics.ALL)
    assert len(await bus.copy()) == len(topics.ALL) + 1


@pytest.mark.parametrize("timestamp", [-1, -(10**15), 2**62])
async def test_a_time_that_no_calendar_has_hides_no_record(bus: Bus, timestamp: int) -> None:
    raw = bus.raw(topics.INTENTS_RESOURCE, b"?")
    await bus.consume(raw._replace(timestamp=timestamp))
    bus.message(INTENT, "1")
    await bus.consume()
    assert [kept.readable for kept in await bus.copy()] == [False, True]


async def test_names_that_are_none_are_kept_but_nothing_is_found_under_them(bus: Bus) -> None:
    for number, name in enumerate(("x" * 400_000, "\x00", "payments/dev", "")):
        data = {"resource": name, "operation": name}
        bus.event(Envelope(id=str(number), source=SOURCE, type="t", data=data), topics.FACTS_POLICY)
    await bus.consume()
    kept = await bus.copy()
    assert [(one.id, one.resource, one.operation) for one in kept] == [
        (str(number), None, None) for number in range(4)
    ]
