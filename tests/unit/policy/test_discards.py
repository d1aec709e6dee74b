"""An intent that policy could not decide on, and that is discarded, is denied."""

from pathlib import Path

import pytest

from busbar.kernel.ids import operation_id
from busbar.messages.narrative import narrate
from busbar.messages.policy import IntentDenied
from busbar.messages.resource import ApplyResource
from busbar.messages.views import evolve_operation
from busbar.policy.domain import Promises, RuleBook
from busbar.policy.handlers import Policy
from support.discards import Discarding
from support.personal import no_personal_data
from support.runtime import SOURCE, record

NAMED = {"team": "payments", "environment": "dev", "promise": "event-stream", "name": "orders"}
ORDERS = "payments/dev/event-stream/orders"


@pytest.fixture
async def bench(tmp_path: Path, catalogue: Promises, house_rules: RuleBook) -> Discarding:
    service = Policy(catalogue, house_rules, no_personal_data(), accepts_unsigned=True).service()
    return await Discarding.of(service, tmp_path)


async def test_it_is_denied_as_discarded_with_what_it_asked_for(bench: Discarding) -> None:
    data = {**NAMED, "spec": {"partitions": 6}}
    kept = record(0, data, type_=ApplyResource.TYPE, topic=ApplyResource.TOPIC, key=ORDERS)
    (fact,), outcome = await bench.discarded(kept)
    assert isinstance(fact, IntentDenied)
    assert fact.operation == outcome.ended == operation_id(SOURCE, "intent-0")
    assert (fact.reason, fact.resource, fact.requested) == ("discarded", ORDERS, data)
    assert fact.caller is not None
    (violation,) = fact.violations
    assert str(outcome.operation) in violation.message
    assert "new id" in violation.fix
    assert (narrate(fact) or "").startswith("Policy denied it (discarded). [discarded] policy")
    await bench.store.close()


async def test_its_operation_shows_the_denial_in_whatever_order_the_facts_come(
    bench: Discarding,
) -> None:
    data = {**NAMED, "spec": {}}
    kept = record(0, data, type_=ApplyResource.TYPE, topic=ApplyResource.TOPIC, key=ORDERS)
    (denied,), _ = await bench.discarded(kept)
    stuck = (await bench._facts(0))[0]
    views = []
    for facts in ([stuck, denied], [denied, stuck]):
        view = None
        for fact in facts:
            view = evolve_operation(view, fact, time="t")
        views.append(view)
    first, second = views
    assert first == second
    assert first is not None
    assert (first.status, first.reason, first.detail) == ("denied", "discarded", "")
    await bench.store.close()
