"""Calls about webhooks and typed facts, against a gateway with prepared answers."""

from datetime import UTC, datetime
from typing import Any

import pytest

from busbar.messages.notification import WebhookDelivered
from busbar.messages.resource import ResourceDeleted, ResourceProvisioned
from busbar.sdk import Client, GatewayProblem, InvalidIntent, ReceivedFact
from unit.sdk.fake_gateway import FakeGateway, fact

SUBSCRIPTION = {
    "subscription": "payments/s",
    "team": "payments",
    "name": "s",
    "url": "https://payments.example",
    "types": ["busbar.*"],
    "secret": "secret:s",
    "updated": "2026-01-31T12:00:00Z",
}
ATTEMPT = {"time": "2026-01-31T12:00:00Z", "attempt": 1, "outcome": "timeout", "seconds": 15.0}
DELIVERY: dict[str, Any] = {
    "subscription": "payments/s",
    "event": "f",
    "event_type": ResourceProvisioned.TYPE,
    "status": "retrying",
    "attempts": [ATTEMPT],
}


def published(model: type[ResourceProvisioned] | type[ResourceDeleted], cursor: int) -> Any:
    return fact(cursor, type=model.TYPE, data=model.EXAMPLES[0])


async def test_a_test_event_and_a_resend_are_intents_about_the_subscription(
    client: Client, gateway: FakeGateway
) -> None:
    await client.send_test_event("payments/s", event_id="one")
    await client.resend("payments/s", event="f")
    await client.resend("payments/s", since=datetime(2026, 1, 31, tzinfo=UTC))
    about = {"team": "payments", "name": "s"}
    assert [(event.type, event.data) for event in gateway.published] == [
        ("busbar.subscription.test.v1", about),
        ("busbar.subscription.resend.v1", {**about, "event": "f"}),
        ("busbar.subscription.resend.v1", {**about, "since": "2026-01-31T00:00:00Z"}),
    ]


async def test_intents_about_a_subscription_share_its_key_and_so_keep_their_order(
    client: Client, gateway: FakeGateway
) -> None:
    about = {"url": "https://x.example", "secret": "secret:s"}
    await client.subscribe("payments/s", types=("busbar.*",), **about)
    await client.send_test_event("payments/s")
    await client.resend("payments/s")
    await client.unsubscribe("payments/s")
    assert {event.subject for event in gateway.published} == {"payments/s"}


async def test_a_time_without_a_zone_is_refused_before_anything_is_sent(
    client: Client, gateway: FakeGateway
) -> None:
    with pytest.raises(InvalidIntent, match="since"):
        await client.resend("payments/s", since=datetime(2026, 1, 31))  # noqa: DTZ001 - the point
    assert gateway.published == []


@pytest.mark.parametrize("name", ["", "payments", "payments/", "/s", "payments/s/more"])
async def test_what_does_not_name_a_subscription_is_refused(
    client: Client, gateway: FakeGateway, name: str
) -> None:
    for call in (client.send_test_event, client.resend, client.unsubscribe, client.subscription):
        with pytest.raises(InvalidIntent, match="team/name"):
            await call(name)
    assert gateway.requests == []


async def test_subscriptions_and_deliveries_are_typed(client: Client, gateway: FakeGateway) -> None:
    gateway.subscriptions = [SUBSCRIPTION, {**SUBSCRIPTION, "team": "billing"}]
    gateway.deliveries = [DELIVERY, {**DELIVERY, "event": "g", "status": "failed"}]
    (found,) = [one async for one in client.subscriptions(team="payments")]
    assert (found.name, found.types) == ("s", ("busbar.*",))
    (failed,) = [one async for one in client.deliveries("payments/s", status="failed")]
    assert failed.event == "g"
    delivery = await client.delivery("payments/s", "f")
    assert delivery.attempts[0].outcome == "timeout"
    with pytest.raises(GatewayProblem):
        await client.delivery("payments/s", "nothing")


async def test_facts_are_selected_by_the_gateway_and_come_with_typed_data(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.facts = [published(ResourceProvisioned, 1), published(ResourceDeleted, 2)]
    found = [one async for one in client.facts(team="payments", types=[ResourceProvisioned])]
    (one,) = found
    assert isinstance(one, ReceivedFact)
    assert one.message.outputs == {"topic": "payments.dev.orders"}
    assert (one.cursor, one.envelope.id) == ("1", "fact-1")
    assert "team=payments" in gateway.requests[0]
    assert f"type={ResourceProvisioned.TYPE}" in gateway.requests[0]


async def test_names_of_types_give_items_and_events(client: Client, gateway: FakeGateway) -> None:
    gateway.facts = [published(ResourceProvisioned, 1), published(ResourceDeleted, 2)]
    names = (ResourceDeleted.TYPE, ResourceProvisioned.TYPE)
    assert [item.cursor async for item in client.facts(types=names)] == ["1", "2"]
    (event,) = [event async for event in client.fact_events(types=[ResourceDeleted])]
    assert event.get_type() == ResourceDeleted.TYPE


async def test_data_of_another_release_is_a_problem_and_not_a_wrong_message(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.facts = [fact(1, type=WebhookDelivered.TYPE, data={"status": "no number"})]
    with pytest.raises(GatewayProblem, match="WebhookDelivered"):
        _ = [one async for one in client.facts(types=[WebhookDelivered])]
