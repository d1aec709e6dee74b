"""While many intents wait for a decision for long, no new one is let in; nothing is lost by it."""

import pytest

from busbar.gateway.routes.backpressure import Limits
from busbar.messages.delivery import DeadLettered
from busbar.messages.policy import IntentAllowed, IntentDenied
from busbar.runtime.store import Store
from busbar.testing import ManualClock
from unit.gateway.conftest import Api, FakeAudit, Platform, app_over, event, fact_of

LIMITS = Limits(intents=2, seconds=60)


@pytest.fixture
def narrow(store: Store, audit: FakeAudit) -> Api:
    return Api(app_over(store, audit, limits=LIMITS))


async def backlog(api: Api, clock: ManualClock, *, seconds: float = 61) -> None:
    for number in (1, 2, 3):
        assert (await api.post(event(number))).status == 202
    clock.advance(seconds)


async def test_many_intents_that_wait_for_long_keep_new_ones_out(
    narrow: Api, clock: ManualClock
) -> None:
    await backlog(narrow, clock)
    refused = await narrow.post(event(4))
    assert refused.status == 429
    assert refused.problem()["code"] == "busy"
    assert refused.problem()["detail"] == (
        "too many intents are waiting for a decision, the oldest for 61 seconds"
    )
    assert refused.headers["Retry-After".lower()] == "5"


async def test_an_intent_that_was_let_in_before_is_answered_all_the_same(
    narrow: Api, clock: ManualClock
) -> None:
    await backlog(narrow, clock)
    again = await narrow.post(event(1))
    assert (again.status, again.headers["idempotent-replayed"]) == (202, "true")


async def test_an_outage_does_not_refuse_a_few_requests(narrow: Api, clock: ManualClock) -> None:
    for number in (1, 2):
        await narrow.post(event(number))
    clock.advance(3600)
    assert (await narrow.post(event(3))).status == 202


async def test_many_that_have_just_come_are_no_reason_either(
    narrow: Api, clock: ManualClock
) -> None:
    await backlog(narrow, clock, seconds=60)
    assert (await narrow.post(event(4))).status == 202


@pytest.mark.parametrize("fact", [IntentAllowed, IntentDenied, DeadLettered])
async def test_every_answer_makes_room(
    narrow: Api,
    platform: Platform,
    clock: ManualClock,
    fact: type[IntentAllowed | IntentDenied | DeadLettered],
) -> None:
    await backlog(narrow, clock)
    topic = "busbar.dlq.policy" if fact is DeadLettered else None
    # A record that could not be read is of no intent that was accepted here.
    more = {"refused": False} if fact is DeadLettered else {}
    await platform.engine.handle_batch([platform.record(fact_of(fact, 2, **more), topic=topic)])
    clock.advance(1)
    assert (await narrow.post(event(4))).status == 202
