"""A request to the notifier that is discarded ends its operation."""

from pathlib import Path

import pytest

from busbar.messages.base import Intent
from busbar.messages.notification import (
    ApplySubscription,
    DeleteSubscription,
    ResendDeliveries,
    SendTestEvent,
    SubscriptionRefused,
    SubscriptionTestRequested,
    WebhookExhausted,
)
from busbar.messages.resource import ResourceProvisioned
from busbar.messages.views import evolve_operation
from support.discards import Discarding
from support.requests import allowed
from support.runtime import SOURCE, record
from unit.notifier.bench import Bench


@pytest.mark.parametrize(
    "asked", [ApplySubscription, DeleteSubscription, SendTestEvent, ResendDeliveries]
)
async def test_a_request_is_refused_as_discarded(
    bench: Bench, tmp_path: Path, asked: type[Intent]
) -> None:
    failing = await Discarding.of(bench.notifier.service(), tmp_path)
    request = allowed(asked, asked.EXAMPLES[0], source=SOURCE, id_="s", about="payments/s")
    data = request.model_dump(mode="json")
    kept = record(0, data, type_=request.TYPE, topic=request.TOPIC, key="payments/s")
    (fact,), outcome = await failing.discarded(kept)
    assert isinstance(fact, SubscriptionRefused)
    assert fact.operation == outcome.ended == request.operation
    assert (fact.reason, fact.intent) == ("discarded", request.intent)
    view = evolve_operation(None, fact, time="t")
    assert view is not None
    assert (view.status, view.reason) == ("denied", "discarded")
    await failing.store.close()


async def test_the_operation_of_a_test_event_ends_as_not_delivered(
    bench: Bench, tmp_path: Path
) -> None:
    failing = await Discarding.of(bench.notifier.service(), tmp_path)
    asked = SubscriptionTestRequested.model_validate(SubscriptionTestRequested.EXAMPLES[0])
    data = asked.model_dump(mode="json")
    kept = record(0, data, type_=asked.TYPE, topic=asked.TOPIC, key=asked.subscription)
    (fact,), outcome = await failing.discarded(kept)
    assert isinstance(fact, WebhookExhausted)
    assert fact.operation == outcome.ended == asked.operation
    assert (fact.reason, fact.event) == ("discarded", "intent-0")
    view = evolve_operation(None, fact, time="t")
    assert view is not None
    assert view.status == "failed"
    await failing.store.close()


async def test_a_fact_to_deliver_that_is_discarded_ends_no_operation(
    bench: Bench, tmp_path: Path
) -> None:
    service = bench.notifier.service()
    service.filter_factory = None  # as if there were a subscription
    failing = await Discarding.of(service, tmp_path)
    fact = ResourceProvisioned.model_validate(ResourceProvisioned.EXAMPLES[0])
    data = fact.model_dump(mode="json")
    kept = record(0, data, type_=fact.TYPE, topic=fact.TOPIC, key=fact.resource)
    facts, outcome = await failing.discarded(kept)
    assert facts == []
    assert outcome.ended is None
    await failing.store.close()
