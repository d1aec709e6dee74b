"""POST /v1/events: what is let in, once each, and what the relay will make of it."""

import asyncio
import json
from typing import Any

import pytest

from busbar.kernel.clock import parse_time
from busbar.messages.catalogue import FACTS, INTENTS
from busbar.messages.envelope import Envelope
from busbar.messages.policy import IntentAllowed
from busbar.messages.resource import ApplyResource, DeleteResource, ResourceProvisioned
from busbar.runtime.outbox.events import envelope_of
from busbar.runtime.outbox.relay import Relay
from busbar.runtime.store import Store
from busbar.testing import ManualClock, RecordingPublisher
from support.runtime import (
    BEGIN,
)
from unit.gateway.conftest import (
    ORDERS,
    SOURCE,
    Api,
    Platform,
    Reply,
    event,
    fact_of,
    operation_of,
)

BINARY = {
    "content-type": "application/json",
    "ce-specversion": "1.0",
    "ce-id": "intent-1",
    "ce-source": SOURCE,
    "ce-type": ApplyResource.TYPE,
}


async def binary(api: Api, data: object = None, **headers: str) -> Reply:
    body = json.dumps({**ORDERS, "spec": {}} if data is None else data).encode()
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.request("POST", "/v1/events", headers={**BINARY, **changed}, body=body)


async def published(store: Store, clock: ManualClock) -> list[Envelope]:
    """Return what the relay publishes from the store, without heads."""
    publisher = RecordingPublisher()
    relay = Relay(store, publisher, clock=clock, holder="test", lease=5)
    while await relay.step():
        pass
    return [envelope for envelope in publisher.envelopes if "sequence" in envelope.extensions]


# -- let in ---------------------------------------------------------------------------------------


async def test_an_event_is_accepted_in_either_mode_with_a_place_to_look(
    api: Api, platform: Platform
) -> None:
    place = f"/v1/operations/{operation_of()}"
    for reply in (await api.post(event()), await binary(api)):
        assert reply.status == 202
        assert (reply.headers["location"], reply.headers["operation-location"]) == (place, place)
        assert reply.json == {
            "operation": operation_of(),
            "resource": "payments/dev/event-stream/orders",
            "status": "received",
        }
    (stored,) = await platform.stored()
    assert (stored.topic, stored.key) == (ApplyResource.TOPIC, "payments/dev/event-stream/orders")


async def test_every_intent_of_the_catalogue_is_let_in(
    api: Api, store: Store, clock: ManualClock
) -> None:
    for number, intent in enumerate(INTENTS):
        reply = await api.post(event(number, type=intent.TYPE, data=intent.EXAMPLES[0]))
        assert reply.status == 202
    stored = await store.events()
    assert [item.topic for item in stored] == [intent.TOPIC for intent in INTENTS]
    for number, envelope in enumerate(await published(store, clock)):
        assert (envelope.id, envelope.source) == (f"intent-{number}", SOURCE)
        assert (envelope.type, envelope.data) == (INTENTS[number].TYPE, INTENTS[number].EXAMPLES[0])


async def test_what_was_posted_is_what_is_published(
    api: Api, store: Store, clock: ManualClock
) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    posted = event(
        subject="payments/dev/event-stream/orders",
        time="2026-01-31T12:00:00.5+01:00",
        expirytime="2027-01-01T00:00:00Z",
        correlationid="from-a-bot",
        causationid="drift-7",
        data={**ORDERS, "spec": {"text": '\u00e4\u2028"\\', "float": 1.5, "none": None}},
    )
    assert (await api.post(posted, traceparent=trace)).status == 202
    (envelope,) = await published(store, clock)
    assert (envelope.data, envelope.subject) == (posted["data"], posted["subject"])
    assert envelope.time == parse_time(posted["time"])
    assert envelope.extensions == {
        "authid": "admin",
        "authtype": "user",
        "causationid": "drift-7",
        "correlationid": "from-a-bot",
        "expirytime": "2027-01-01T00:00:00Z",
        "partitionkey": "payments/dev/event-stream/orders",
        "relay": "gateway",
        "sequence": f"{1:020d}",
        "traceparent": trace,
    }


async def test_an_event_without_a_time_gets_the_time_of_its_arrival(
    api: Api, store: Store, clock: ManualClock
) -> None:
    clock.advance(5)
    await api.post(event())
    (envelope,) = await published(store, clock)
    assert envelope.time == parse_time("2026-01-01T12:00:05Z")
    assert envelope.time > BEGIN


async def test_what_the_platform_sets_is_not_believed(api: Api, store: Store) -> None:
    forged: dict[str, Any] = {
        "relay": "policy",
        "sequence": "7",
        "partitionkey": "elsewhere",
        "authtype": "unauthenticated",
        "authid": "root",
    }
    assert (await api.post(event(**forged))).status == 202
    (stored,) = await store.events()
    metadata = json.loads(stored.metadata)
    assert metadata["extensions"] == {"authtype": "user", "authid": "admin"}
    assert not set(forged.values()) & set(envelope_of(stored, relay="r", sequence=1).extensions)
    assert stored.key == "payments/dev/event-stream/orders"


@pytest.mark.parametrize(
    ("type_", "data", "key"),
    [
        ("busbar.identity.register-key.v1", {"principal": "ci", "public_key": "k"}, "identity"),
        ("busbar.identity.revoke-key.v1", {"key": "0" * 32, "reason": "lost"}, "identity"),
        ("busbar.subscription.apply.v1", {"team": "payments", "name": "hook"}, "payments/hook"),
        ("busbar.subscription.delete.v1", {"team": "payments", "name": "hook"}, "payments/hook"),
        ("busbar.dead-letter.redrive.v1", {"dead_letter": "d1", "service": "policy"}, "d1"),
    ],
)
async def test_intents_about_one_thing_have_one_key_and_so_stay_in_order(
    api: Api, store: Store, type_: str, data: dict[str, Any], key: str
) -> None:
    posted = {**event(), "type": type_, "data": data, "subject": "another"}
    assert (await api.post(posted)).status == 202
    stored = (await store.events())[-1]
    assert stored.key == key


@pytest.mark.parametrize(("subject", "key"), [("a-subject", "a-subject"), (None, operation_of())])
async def test_an_intent_that_names_no_resource_still_has_a_key(
    api: Api, store: Store, subject: str | None, key: str
) -> None:
    reply = await api.post(event(subject=subject, data={"team": "UPPER"}))
    assert (reply.status, reply.json["resource"]) == (202, None)
    (stored,) = await store.events()
    assert stored.key == key


async def test_the_data_are_for_policy_to_judge(api: Api) -> None:
    anything: tuple[object, ...] = (None, 7, "text", [1, 2], {}, {"team": 1}, {"team": None})
    for number, data in enumerate(anything):
        assert (await api.post(event(number, data=data))).status == 202, data


async def test_a_trace_context_that_is_none_is_ignored(
    api: Api, store: Store, clock: ManualClock
) -> None:
    all_zero = f"00-{'0' * 32}-{'1' * 16}-01"
    for number, header in enumerate(("", "garbage", "\u00e4", "x" * 5000, all_zero)):
        assert (await api.post(event(number), traceparent=header)).status == 202
    envelopes = await published(store, clock)
    assert len(envelopes) == 5
    assert not any("traceparent" in envelope.extensions for envelope in envelopes)


# -- once -----------------------------------------------------------------------------------------


async def test_the_same_event_again_gets_the_same_answer_and_changes_nothing(
    api: Api, platform: Platform
) -> None:
    first, again = await api.post(event()), await api.post(event())
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["location"] == first.headers["location"]
    assert len(await platform.stored()) == 1


async def test_fifty_concurrent_requests_are_one_intent(api: Api, platform: Platform) -> None:
    replies = await asyncio.gather(*(api.post(event()) for _ in range(50)))
    assert {reply.status for reply in replies} == {202}
    assert len({reply.body for reply in replies}) == 1
    assert sum("idempotent-replayed" not in reply.headers for reply in replies) == 1
    assert len(await platform.stored()) == 1


async def test_the_same_event_is_known_after_a_restart_and_when_it_has_ended(
    api: Api, platform: Platform
) -> None:
    await api.post(event())
    await platform.publish(fact_of(IntentAllowed), fact_of(ResourceProvisioned))
    again = await api.post(event())
    assert (again.status, again.headers["idempotent-replayed"]) == (202, "true")
    view = await api.get(again.headers["location"])
    assert view.json["status"] == "succeeded"


async def test_white_space_order_of_keys_and_the_mode_do_not_make_another_event(
    api: Api, platform: Platform
) -> None:
    await api.post(event())
    backwards = dict(reversed(event()["data"].items()))
    spaced = json.dumps(event(data=backwards), indent=3).encode()
    for reply in (await api.post(spaced), await binary(api, backwards)):
        assert reply.headers["idempotent-replayed"] == "true"
    assert len(await platform.stored()) == 1


async def test_another_event_under_the_same_identity_is_a_conflict(
    api: Api, platform: Platform
) -> None:
    await api.post(event())
    others: tuple[dict[str, Any], ...] = (
        {"data": {**ORDERS, "spec": {"partitions": 2}}},
        {"type": DeleteResource.TYPE},
        {"subject": "payments/dev/event-stream/orders"},
    )
    for other in others:
        reply = await api.post(event(**other))
        problem = reply.problem()
        assert (reply.status, problem["code"]) == (409, "conflict"), other
        assert "new id" in problem["fix"]
    assert (await api.post(event())).headers["idempotent-replayed"] == "true"
    (stored,) = await platform.stored()
    assert json.loads(stored.data) == event()["data"]


async def test_the_same_id_of_another_source_is_another_intent(
    api: Api, platform: Platform
) -> None:
    first, other = await api.post(event()), await api.post(event(source="urn:team:checkout"))
    assert first.json["operation"] != other.json["operation"]
    assert len(await platform.stored()) == 2


# -- not let in -----------------------------------------------------------------------------------


async def test_only_intents_are_let_in(api: Api, store: Store) -> None:
    for type_ in (*(fact.TYPE for fact in FACTS), "com.example.order", "x"):
        reply = await api.post(event(type=type_))
        problem = reply.problem()
        assert (reply.status, problem["code"]) == (422, "unknown_type")
        assert type_ in problem["detail"]
        assert all(intent.TYPE in problem["fix"] for intent in INTENTS)
    assert await store.last_position() == 0


async def test_no_caller_speaks_in_the_name_of_the_platform(api: Api, platform: Platform) -> None:
    """A fact's id can be computed beforehand: an intent that took it would hide the fact."""
    coming = platform.record(fact_of(ResourceProvisioned), id_="known-beforehand")
    reply = await api.post(event(id="known-beforehand", source="/busbar/elsewhere"))
    assert (reply.status, reply.problem()["code"]) == (422, "reserved_source")
    await platform.engine.handle_batch([coming])
    assert (await api.get(f"/v1/operations/{operation_of()}")).json["status"] == "succeeded"


@pytest.mark.parametrize(
    "event_of",
    [
        pytest.param(lambda: {**event(), **{f"x{n}": "1" for n in range(60)}}, id="attributes"),
        pytest.param(lambda: event(data=[1e15] * 190_000), id="numbers that grow"),
    ],
)
async def test_what_could_not_be_published_is_refused_and_stops_no_other_request(
    api: Api, store: Store, clock: ManualClock, event_of: Any
) -> None:
    body = json.dumps(event_of(), separators=(",", ":")).replace("1000000000000000.0", "1e15")
    reply = await api.post(body.encode())
    problem = reply.problem()
    assert (reply.status, problem["code"]) == (422, "unpublishable")
    assert "at most" in problem["detail"]
    assert (await api.post(event(2))).status == 202
    assert [envelope.id for envelope in await published(store, clock)] == ["intent-2"]


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
async def test_no_date_of_the_calendar_stops_the_relay(
    api: Api, store: Store, clock: ManualClock, time: str
) -> None:
    assert (await api.post(event(time=time))).status in {202, 422}
    assert (await api.post(event(2))).status == 202
    assert "intent-2" in [envelope.id for envelope in await published(store, clock)]


async def test_data_is_not_judged_on_arrival_and_the_description_says_so(api: Api) -> None:
    misspelt = {**ORDERS, "spek": {"partitions": 3}}
    assert (await api.post(event(data=misspelt))).status == 202
    described = (await api.get("/v1/openapi.json")).json["paths"]["/v1/events"]["post"]
    assert "not that it is granted" in described["description"]
    assert "data is not looked at" in described["responses"]["422"]["description"]
