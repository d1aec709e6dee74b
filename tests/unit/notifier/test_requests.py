"""Test events, and deliveries that are made again, over a real store."""

import json
from datetime import timedelta

import pytest

from busbar.kernel.ids import operation_id
from busbar.messages import topics
from busbar.messages.base import Message
from busbar.messages.notification import (
    DeleteSubscription,
    DeliveriesResent,
    ResendDeliveries,
    SendTestEvent,
    SubscriptionRefused,
    SubscriptionTestRequested,
    WebhookDelivered,
    WebhookExhausted,
)
from busbar.notifier.domain import MAX_RESENT, Attempt, verify
from busbar.testing import ManualClock
from support.runtime import SOURCE
from unit.notifier.bench import NEW, OLD, REF, Bench, provisioned

TEST = SendTestEvent(team="payments", name="s")


async def request_one(bench: Bench) -> SubscriptionTestRequested:
    """Request a test event; return the fact, which has come back from the bus."""
    (fact,) = await bench.handle(bench.record(TEST, id_="please-test"))
    assert isinstance(fact, SubscriptionTestRequested)
    await bench.handle(bench.record(fact, id_="the-test", about=fact.subscription))
    return fact


async def fail(bench: Bench, clock: ManualClock, event: str) -> None:
    """Let the delivery of the fact ``event`` fail for good."""
    await bench.handle(bench.record(provisioned(), id_=event))
    bench.sender.outcomes = [Attempt(status=410)]
    (ended,) = await bench.work()
    assert isinstance(ended, WebhookExhausted)
    clock.advance(60)


async def resend(bench: Bench, **fields: object) -> Message:
    intent = {"team": "payments", "name": "s", **fields}
    (fact,) = await bench.hear(ResendDeliveries.model_validate(intent))
    return fact


# -- test events ----------------------------------------------------------------------------------


async def test_a_test_event_is_signed_and_marked_and_its_answer_ends_the_operation(
    bench: Bench, clock: ManualClock
) -> None:
    await bench.subscribe()
    fact = await request_one(bench)
    (delivered,) = await bench.work()
    assert isinstance(delivered, WebhookDelivered)
    assert delivered.operation == fact.operation == operation_id(SOURCE, "please-test")
    (request,) = bench.sender.requests
    assert verify([OLD], request.headers, request.body, now=int(clock.now().timestamp()))
    event = json.loads(request.body)
    assert event["type"] == SubscriptionTestRequested.TYPE
    assert event["data"]["test"] is True


async def test_a_test_event_goes_to_one_subscription_whatever_others_match(bench: Bench) -> None:
    await bench.subscribe("payments/s", "busbar.resource.*")
    await bench.subscribe("payments/everything", "busbar.*")
    await bench.subscribe("billing/s", "busbar.*")
    await request_one(bench)
    assert {data["subscription"] for data in (await bench.due()).values()} == {"payments/s"}


async def test_a_test_event_is_tried_once(bench: Bench, clock: ManualClock) -> None:
    await bench.subscribe()
    await request_one(bench)
    bench.sender.outcomes = [Attempt(error="timeout")]
    (ended,) = await bench.work()
    assert isinstance(ended, WebhookExhausted)
    assert (ended.attempts, ended.reason) == (1, "timeout")
    clock.advance(10**6)
    assert await bench.work() == []


async def test_the_same_request_again_sends_nothing_more(bench: Bench) -> None:
    await bench.subscribe()
    await request_one(bench)
    await bench.work()
    assert await bench.handle(bench.record(TEST, id_="please-test")) == []
    assert await bench.work() == []
    assert len(bench.sender.requests) == 1


@pytest.mark.parametrize("intent", [TEST, ResendDeliveries(team="payments", name="s")])
async def test_a_request_about_no_subscription_is_refused(bench: Bench, intent: Message) -> None:
    (refused,) = await bench.hear(intent)
    assert isinstance(refused, SubscriptionRefused)
    assert refused.reason == "not_found"


async def test_the_operation_of_a_test_ends_if_the_subscription_is_gone_meanwhile(
    bench: Bench,
) -> None:
    await bench.subscribe()
    (fact,) = await bench.hear(TEST)
    assert isinstance(fact, SubscriptionTestRequested)
    await bench.hear(DeleteSubscription(team="payments", name="s"))
    (ended,) = await bench.handle(bench.record(fact, about=fact.subscription))
    assert isinstance(ended, WebhookExhausted)
    assert (ended.operation, ended.reason) == (fact.operation, "unsubscribed")


# -- deliveries again -----------------------------------------------------------------------------


async def test_a_failed_delivery_is_made_again_to_the_present_url_with_the_present_secret(
    bench: Bench, clock: ManualClock
) -> None:
    await bench.subscribe()
    await fail(bench, clock, "f")
    await bench.subscribe(url="https://payments.example/moved")
    bench.secrets.known[REF] = (NEW,)
    resent = await resend(bench)
    assert isinstance(resent, DeliveriesResent)
    assert (resent.deliveries, resent.more) == (1, False)
    (delivered,) = await bench.work()
    assert isinstance(delivered, WebhookDelivered)
    assert (delivered.event, delivered.attempt) == ("f", 1)
    first, again = bench.sender.requests
    assert again.url == "https://payments.example/moved"
    assert again.body == first.body
    assert verify([NEW], again.headers, again.body, now=int(clock.now().timestamp())) == "f"


async def test_a_delivered_fact_is_made_again_by_its_id(bench: Bench) -> None:
    await bench.subscribe()
    await bench.handle(bench.record(provisioned(), id_="f"))
    await bench.work()
    for _ in range(3):
        assert isinstance(await resend(bench, event="f"), DeliveriesResent)
        assert len(await bench.work()) == 1
    assert bench.sender.ids == ["f"] * 4


async def test_only_deliveries_that_have_failed_since_a_time_are_made_again(
    bench: Bench, clock: ManualClock
) -> None:
    await bench.subscribe()
    await fail(bench, clock, "old")
    since = clock.now()
    await fail(bench, clock, "new")
    await bench.handle(bench.record(provisioned(), id_="fine"))
    await bench.work()
    resent = await resend(bench, since=since)
    assert isinstance(resent, DeliveriesResent)
    assert [data["event"] for data in (await bench.due()).values()] == ["new"]
    later = await resend(bench, since=clock.now() + timedelta(hours=1))
    assert isinstance(later, DeliveriesResent)
    assert later.deliveries == 0


async def test_what_is_resent_is_no_longer_failed(bench: Bench, clock: ManualClock) -> None:
    await bench.subscribe()
    await fail(bench, clock, "f")
    for expected in (1, 0):
        resent = await resend(bench)
        assert isinstance(resent, DeliveriesResent)
        assert resent.deliveries == expected
    assert len(await bench.work()) == 1
    resent = await resend(bench)
    assert isinstance(resent, DeliveriesResent)
    assert resent.deliveries == 0


@pytest.mark.parametrize("event", ["unknown", "pending"])
async def test_a_delivery_that_has_not_ended_is_not_made_again(bench: Bench, event: str) -> None:
    await bench.subscribe()
    await bench.handle(bench.record(provisioned(), id_="pending"))
    refused = await resend(bench, event=event)
    assert isinstance(refused, SubscriptionRefused)
    assert refused.reason == "unknown_delivery"


async def test_another_team_s_deliveries_are_not_made_again(
    bench: Bench, clock: ManualClock
) -> None:
    await bench.subscribe()
    await bench.subscribe("billing/s")
    await fail(bench, clock, "f")
    (refused,) = await bench.hear(ResendDeliveries(team="billing", name="s", event="f"))
    assert isinstance(refused, SubscriptionRefused)
    assert await bench.due() == {}


async def test_one_request_resends_a_bounded_number_and_says_that_there_are_more(
    bench: Bench,
) -> None:
    await bench.subscribe()
    number = MAX_RESENT + 1
    await bench.handle(*(bench.record(provisioned(), id_=f"f{one}") for one in range(number)))
    bench.sender.outcomes = [Attempt(status=410)] * number
    assert len(await bench.work()) == number
    for deliveries, more in ((MAX_RESENT, True), (1, False)):
        resent = await resend(bench)
        assert isinstance(resent, DeliveriesResent)
        assert (resent.deliveries, resent.more) == (deliveries, more)
    assert len(await bench.due()) == number


async def test_the_same_resend_again_changes_nothing(bench: Bench, clock: ManualClock) -> None:
    await bench.subscribe()
    await fail(bench, clock, "f")
    intent = ResendDeliveries(team="payments", name="s", event="f")
    for _ in range(2):
        await bench.handle(bench.record(intent, id_="again"))
        await bench.work()
    assert bench.sender.ids == ["f", "f"]


async def test_every_fact_of_a_delivery_has_its_own_id(bench: Bench, clock: ManualClock) -> None:
    await bench.subscribe()
    await fail(bench, clock, "f")
    await resend(bench, event="f")
    bench.sender.outcomes = [Attempt(status=500)]
    await bench.work()
    clock.advance(5)
    await bench.work()
    events = [event for event in await bench.store.events() if event.stream.startswith("delivery/")]
    assert len({event.id for event in events}) == len(events) == 3
    assert {event.topic for event in events} == {topics.FACTS_NOTIFICATION}
