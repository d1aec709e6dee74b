"""The notifier's handlers over a real store: recipients, attempts, and recorded facts."""

import json
from pathlib import Path
from typing import Any

import pytest

from busbar.kernel.errors import Fenced
from busbar.kernel.ids import operation_id
from busbar.messages import topics
from busbar.messages.base import Message
from busbar.messages.delivery import DeadLettered, HeadPublished, RedriveDeadLetter
from busbar.messages.notification import (
    ApplySubscription,
    DeleteSubscription,
    Subscribed,
    SubscriptionRefused,
    Unsubscribed,
    WebhookAttempted,
    WebhookDelivered,
    WebhookExhausted,
)
from busbar.messages.policy import IntentDenied
from busbar.messages.resource import ResourceProvisioned
from busbar.notifier.domain import (
    Attempt,
    verify,
)
from busbar.notifier.handlers import PAGE_SIZE
from busbar.runtime.tasks.runner import Work
from busbar.testing import ManualClock
from support.metrics import counted, counting
from support.requests import allowed
from support.runtime import (
    SOURCE,
)
from support.tracing import PARENT, TRACE, traced
from unit.notifier.bench import (
    LEASE,
    NEW,
    OLD,
    REF,
    URL,
    Bench,
    Killed,
    provisioned,
)

# -- subscriptions --------------------------------------------------------------------------------


async def test_a_subscription_begins_is_replaced_and_ends(bench: Bench) -> None:
    assert isinstance(await bench.subscribe(), Subscribed)
    await bench.subscribe(url="https://payments.example/other")
    await bench.hear(provisioned())
    (delivery,) = (await bench.due()).values()
    assert delivery["url"] == "https://payments.example/other"
    (ended,) = await bench.hear(DeleteSubscription(team="payments", name="s"))
    assert isinstance(ended, Unsubscribed)
    (refused,) = await bench.hear(DeleteSubscription(team="payments", name="s"))
    assert isinstance(refused, SubscriptionRefused)
    events = await bench.store.events()
    assert {event.topic for event in events} == {topics.FACTS_NOTIFICATION}
    assert {event.key for event in events} == {"payments/s"}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"secret": "secret:other"}, "unknown_secret"),
        ({"url": "https://evil.example"}, "bad_url"),
        ({"types": ["busbar.nothing.*"]}, "unknown_type"),
    ],
)
async def test_a_subscription_that_could_not_work_is_refused(
    bench: Bench, fields: dict[str, Any], reason: str
) -> None:
    refused = await bench.subscribe(**fields)
    assert isinstance(refused, SubscriptionRefused)
    assert refused.reason == reason
    await bench.hear(provisioned())
    assert await bench.due() == {}


async def test_an_allowed_request_whose_intent_has_another_form_is_dead_lettered(
    bench: Bench,
) -> None:
    """Policy of another release allowed it: nothing is lost until a release that knows it."""
    request = allowed(ApplySubscription, {"team": "payments"}, source=SOURCE, id_="later")
    (dead_letter,) = await bench.hear(request)
    assert isinstance(dead_letter, DeadLettered)
    assert dead_letter.reason == "invalid_data"


async def test_a_request_for_another_service_is_skipped(bench: Bench) -> None:
    request = allowed(RedriveDeadLetter, {"service": "policy"}, source=SOURCE, id_="theirs")
    assert await bench.hear(request) == []


async def test_facts_of_teams_that_subscribed_to_nothing_are_passed_over(bench: Bench) -> None:
    await bench.subscribe("payments/s")
    key = "search/dev/nothing/it"
    with counting("busbar_consumer_records_total", "outcome", "notifier") as found:
        await bench.handle(
            bench.record(provisioned("search"), id_="theirs", about=key),
            bench.record(provisioned(), id_="ours", about="payments/dev/nothing/it"),
        )
    assert list(await bench.due()) == ["payments/s|ours"]
    assert found == {"handled": 1, "skipped": 1}
    await bench.subscribe("search/s")
    await bench.handle(bench.record(provisioned("search"), id_="later", about=key))
    assert {*await bench.due()} == {"payments/s|ours", "search/s|later"}


async def test_what_is_not_known_is_not_passed_over(bench: Bench) -> None:
    """An operator has to look at it, whichever team it concerns."""
    record = bench.record(
        type_="busbar.resource.provisioned.v9",
        topic=topics.FACTS_RESOURCE,
        data={},
        about="search/dev/nothing/it",
    )
    (dead_letter,) = await bench.handle(record)
    assert isinstance(dead_letter, DeadLettered)
    assert dead_letter.reason == "unknown_version"


async def test_a_subscription_in_the_same_batch_is_in_force_for_what_follows(bench: Bench) -> None:
    intent = {"team": "payments", "name": "s", "url": URL, "types": ["busbar.*"], "secret": REF}
    await bench.handle(
        bench.record(ApplySubscription.model_validate(intent)),
        bench.record(provisioned(), id_="next"),
    )
    assert list(await bench.due()) == ["payments/s|next"]


async def test_a_fact_that_does_not_fit_is_dead_lettered_not_answered(bench: Bench) -> None:
    record = bench.record(
        type_=ResourceProvisioned.TYPE, topic=topics.FACTS_RESOURCE, data={"resource": 1}
    )
    (dead_letter,) = await bench.handle(record)
    assert isinstance(dead_letter, DeadLettered)
    assert dead_letter.reason == "invalid_data"


# -- recipients -----------------------------------------------------------------------------------


async def test_only_the_team_and_the_types_that_match_get_deliveries(bench: Bench) -> None:
    await bench.subscribe("payments/all", "busbar.*")
    await bench.subscribe("payments/made", ResourceProvisioned.TYPE)
    await bench.subscribe("payments/denied", "busbar.policy.denied.v1")
    await bench.subscribe("checkout/all", "busbar.*")
    fact = bench.record(provisioned(), id_="f1")
    await bench.handle(fact)
    due = await bench.due()
    assert set(due) == {"payments/all|f1", "payments/made|f1"}
    assert json.loads(due["payments/made|f1"]["body"])["data"] == json.loads(fact.value or b"")


async def test_a_denial_that_names_no_resource_reaches_the_team_that_asked(bench: Bench) -> None:
    await bench.subscribe("payments/s", "busbar.policy.*")
    example = {**IntentDenied.EXAMPLES[0], "resource": None, "requested": {"team": "payments"}}
    await bench.hear(IntentDenied.model_validate(example))
    assert len(await bench.due()) == 1


async def test_facts_that_are_nobodys_or_about_deliveries_are_not_delivered(bench: Bench) -> None:
    await bench.subscribe("payments/s", "busbar.*")
    head = HeadPublished.model_validate(HeadPublished.EXAMPLES[0])
    delivered = WebhookDelivered.model_validate(WebhookDelivered.EXAMPLES[0])
    await bench.hear(head, delivered)
    assert await bench.due() == {}


async def test_every_subscriber_gets_the_event_however_many_they_are(bench: Bench) -> None:
    intents = [
        ApplySubscription(
            team="payments", name=f"s{n}", url=URL, types=("busbar.resource.*",), secret=REF
        )
        for n in range(PAGE_SIZE + 3)
    ]
    await bench.hear(*intents)
    await bench.hear(provisioned())
    assert len(await bench.due()) == PAGE_SIZE + 3


async def test_a_later_subscriber_does_not_get_earlier_events(bench: Bench) -> None:
    await bench.hear(provisioned())
    await bench.subscribe()
    assert await bench.due() == {}


async def test_the_same_fact_again_causes_nothing(bench: Bench) -> None:
    await bench.subscribe()
    twice = [bench.record(provisioned(), id_="f") for _ in range(3)]
    await bench.handle(*twice[:2])
    assert len(await bench.work()) == 1
    await bench.handle(twice[2])
    assert await bench.work() == []
    assert bench.sender.ids == ["f"]


# -- attempts -------------------------------------------------------------------------------------


async def test_a_delivery_is_signed_sent_and_recorded(bench: Bench, clock: ManualClock) -> None:
    await bench.subscribe()
    await bench.handle(bench.record(provisioned(), id_="f"))
    (fact,) = await bench.work()
    assert isinstance(fact, WebhookDelivered)
    assert (fact.subscription, fact.event, fact.event_type) == (
        "payments/s",
        "f",
        ResourceProvisioned.TYPE,
    )
    assert (fact.attempt, fact.status, fact.operation) == (1, 204, operation_id(SOURCE, "1"))
    (request,) = bench.sender.requests
    assert request.url == URL
    assert request.headers["content-type"].startswith("application/cloudevents+json")
    now = int(clock.now().timestamp())
    assert verify([OLD], request.headers, request.body, now=now) == "f"
    event = json.loads(request.body)
    assert (event["id"], event["source"], event["type"]) == ("f", SOURCE, ResourceProvisioned.TYPE)
    assert await bench.work() == []
    (stored,) = [e for e in await bench.store.events() if e.type == WebhookDelivered.TYPE]
    assert (stored.key, stored.topic) == (
        "payments/dev/event-stream/orders",
        topics.FACTS_NOTIFICATION,
    )


async def test_the_facts_of_a_delivery_are_on_behalf_of_who_asked_for_its_event(
    bench: Bench,
) -> None:
    await bench.subscribe()
    await bench.handle(bench.record(provisioned(), id_="f", asked="payments-ci"))
    bench.sender.outcomes = [Attempt(status=503)]
    await bench.work()
    bench.clock.advance(6)
    await bench.work()
    asked = [
        json.loads(event.metadata).get("onbehalfof")
        for event in await bench.store.events()
        if event.type in (WebhookAttempted.TYPE, WebhookDelivered.TYPE)
    ]
    assert asked == ["payments-ci", "payments-ci"]


async def test_an_attempt_is_a_span_and_the_receiver_gets_its_context(bench: Bench) -> None:
    await bench.subscribe()
    async with traced() as spans:
        await bench.handle(bench.record(provisioned(), id_="f", trace=PARENT))
        bench.sender.outcomes = [Attempt(status=503)]
        assert await bench.work() == []
        bench.clock.advance(6)
        await bench.work()
    heard, failed, delivered = spans.all()
    assert [span.name for span in (failed, delivered)] == ["POST webhook", "POST webhook"]
    assert {span.trace_id for span in spans.all()} == {TRACE}
    assert (failed.parent_id, delivered.parent_id) == (heard.span_id, heard.span_id)
    assert (failed.error, delivered.error) == ("503", None)
    sent = [request.headers["traceparent"] for request in bench.sender.requests]
    assert sent == [failed.traceparent, delivered.traceparent]
    (stored,) = [e for e in await bench.store.events() if e.type == WebhookDelivered.TYPE]
    assert json.loads(stored.metadata)["traceparent"] == delivered.traceparent
    for word in (URL, "whsec", "orders", *bench.sender.signatures):
        assert word not in spans.words()


@pytest.mark.parametrize(("trace", "sent"), [(PARENT, PARENT), ("nonsense", None), (None, None)])
async def test_while_tracing_is_off_the_receiver_gets_the_context_of_the_fact(
    bench: Bench, trace: str | None, sent: str | None
) -> None:
    await bench.subscribe()
    await bench.handle(bench.record(provisioned(), id_="f", trace=trace))
    await bench.work()
    (request,) = bench.sender.requests
    assert request.headers.get("traceparent") == sent


async def test_attempts_are_counted_by_class_and_deliveries_timed_from_the_fact(
    bench: Bench,
) -> None:
    names = [("outcome", "5xx"), ("outcome", "timeout"), ("outcome", "2xx")]
    before = [counted("busbar_notifier_attempts_total", **dict([name])) for name in names]
    seconds = counted("busbar_notifier_delivery_seconds_sum")
    await bench.subscribe()
    bench.sender.outcomes = [Attempt(status=503), Attempt(error="timeout")]
    await bench.handle(bench.record(provisioned(), id_="f", time=bench.clock.now()))
    for _ in range(3):
        await bench.work()
        bench.clock.advance(40)
    after = [counted("busbar_notifier_attempts_total", **dict([name])) for name in names]
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1, 1]
    assert counted("busbar_notifier_delivery_seconds_sum") - seconds == 80


async def test_a_failed_attempt_is_repeated_later_under_the_same_id(
    bench: Bench, clock: ManualClock
) -> None:
    await bench.subscribe()
    await bench.handle(bench.record(provisioned(), id_="f"))
    bench.sender.outcomes = [Attempt(status=503), Attempt(error="timeout")]
    assert await bench.work() == []
    clock.advance(4.9)
    assert await bench.work() == []
    assert len(bench.sender.requests) == 1
    clock.advance(0.1)
    assert await bench.work() == []
    assert len(bench.sender.requests) == 2
    clock.advance(29.9)
    assert await bench.work() == []
    assert len(bench.sender.requests) == 2
    clock.advance(0.1)
    (fact,) = await bench.work()
    assert isinstance(fact, WebhookDelivered)
    assert fact.attempt == 3
    assert bench.sender.ids == ["f"] * 3
    stamps = [request.headers["webhook-timestamp"] for request in bench.sender.requests]
    assert len(set(stamps)) == 3
    assert len({request.body for request in bench.sender.requests}) == 1


async def test_a_receiver_that_asks_for_time_gets_it(bench: Bench, clock: ManualClock) -> None:
    await bench.subscribe()
    await bench.hear(provisioned())
    bench.sender.outcomes = [Attempt(status=429, retry_after="60")]
    await bench.work()
    clock.advance(59)
    assert await bench.work() == []
    clock.advance(1)
    assert len(await bench.work()) == 1


async def test_after_the_last_attempt_that_is_recorded_and_nothing_follows(
    bench: Bench, clock: ManualClock
) -> None:
    await bench.subscribe()
    await bench.hear(provisioned())
    bench.sender.outcomes = [Attempt(status=500)] * 9
    for _ in range(2):
        assert await bench.work() == []
        clock.advance(30)
    (fact,) = await bench.work()
    assert isinstance(fact, WebhookExhausted)
    assert (fact.attempts, fact.reason) == (3, "status 500")
    assert [(one.attempt, one.reason, one.retry_seconds) for one in bench.attempted] == [
        (1, "status 500", 5),
        (2, "status 500", 30),
    ]
    clock.advance(10**6)
    assert await bench.work() == []
    assert len(bench.sender.requests) == 3


@pytest.mark.parametrize("outcome", [Attempt(status=410), Attempt(error="refused_address")])
async def test_what_is_refused_for_good_is_not_tried_again(bench: Bench, outcome: Attempt) -> None:
    await bench.subscribe()
    await bench.hear(provisioned())
    bench.sender.outcomes = [outcome]
    (fact,) = await bench.work()
    assert isinstance(fact, WebhookExhausted)
    assert (fact.attempts, fact.reason) == (1, outcome.reason)


async def test_a_secret_that_rotates_signs_the_next_attempt(
    bench: Bench, clock: ManualClock
) -> None:
    await bench.subscribe()
    await bench.hear(provisioned())
    bench.sender.outcomes = [Attempt(status=500)]
    await bench.work()
    bench.secrets.known[REF] = (NEW, OLD)
    clock.advance(5)
    await bench.work()
    now = int(clock.now().timestamp())
    second = bench.sender.requests[1]
    for secret in (NEW, OLD):
        verify([secret], second.headers, second.body, now=now)


async def test_while_the_secret_is_missing_nothing_is_sent_and_nothing_is_lost(
    bench: Bench, clock: ManualClock
) -> None:
    await bench.subscribe()
    await bench.hear(provisioned())
    del bench.secrets.known[REF]
    assert await bench.work() == []
    assert bench.sender.requests == []
    bench.secrets.known[REF] = (NEW,)
    clock.advance(5)
    (fact,) = await bench.work()
    assert isinstance(fact, WebhookDelivered)
    assert fact.attempt == 2


async def test_a_secret_that_never_comes_back_exhausts_the_delivery(
    bench: Bench, clock: ManualClock
) -> None:
    await bench.subscribe()
    await bench.hear(provisioned())
    bench.secrets.known.clear()
    facts: list[Message] = []
    for _ in range(3):
        facts += await bench.work()
        clock.advance(30)
    (exhausted,) = facts
    assert isinstance(exhausted, WebhookExhausted)
    assert exhausted.reason == "no_secret"


async def test_what_is_due_when_a_subscription_ends_is_still_delivered(bench: Bench) -> None:
    await bench.subscribe()
    await bench.hear(provisioned())
    await bench.hear(DeleteSubscription(team="payments", name="s"))
    await bench.hear(provisioned(number=2))
    (fact,) = await bench.work()
    assert isinstance(fact, WebhookDelivered)
    assert fact.operation == operation_id(SOURCE, "1")


# -- kills ----------------------------------------------------------------------------------------


async def test_a_kill_between_sending_and_recording_repeats_it_under_the_same_id(
    bench: Bench, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.subscribe()
    await bench.handle(bench.record(provisioned(), id_="f"))

    async def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Work, "record", die)
        with pytest.raises(Killed):
            await bench.work()
    assert await bench.work() == []  # the dead process still holds the lease
    clock.advance(LEASE)
    (fact,) = await bench.work()
    assert isinstance(fact, WebhookDelivered)
    assert fact.attempt == 2
    assert bench.sender.ids == ["f", "f"]
    clock.advance(10**6)
    assert await bench.work() == []


async def test_a_kill_while_sending_repeats_it(bench: Bench, clock: ManualClock) -> None:
    await bench.subscribe()
    await bench.hear(provisioned())
    bench.sender.outcomes = [Killed()]
    with pytest.raises(Killed):
        await bench.work()
    clock.advance(LEASE)
    assert len(await bench.work()) == 1


async def test_a_worker_that_lost_its_lease_records_nothing(
    bench: Bench, clock: ManualClock
) -> None:
    await bench.subscribe()
    await bench.hear(provisioned())
    (slow,) = await bench.claim(holder="slow")
    clock.advance(LEASE)
    assert len(await bench.work()) == 1
    before = await bench.store.last_position()
    with pytest.raises(Fenced):
        await bench.notifier.deliver(Work(slow, bench.store))
    assert await bench.store.last_position() == before


async def test_nothing_secret_is_stored_or_logged(
    bench: Bench, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    await bench.subscribe()
    await bench.hear(provisioned())
    await bench.work()
    secret = OLD.reveal().removeprefix("whsec_")
    output = capsys.readouterr()
    assert secret not in output.out + output.err
    files = on_disk(tmp_path)
    assert b"payments/s" in files
    assert secret.encode() not in files


def on_disk(folder: Path) -> bytes:
    """Everything in ``folder``, the write-ahead log included."""
    return b"\n".join(path.read_bytes() for path in sorted(folder.iterdir()))


def test_the_notifier_does_not_read_heads_as_it_can_deliver_none(bench: Bench) -> None:
    assert topics.FACTS_HEAD not in bench.notifier.service().topics
