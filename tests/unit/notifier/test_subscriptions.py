"""Which facts match which subscriptions."""

import re
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.kernel.decide import fold
from busbar.messages.base import EXAMPLE_INTENT, EXAMPLE_OPERATION, Fact, IntentRef
from busbar.messages.catalogue import FACTS
from busbar.messages.notification import (
    ApplySubscription,
    DeleteSubscription,
    Subscribed,
    SubscriptionRefused,
    Unsubscribed,
    WebhookDelivered,
)
from busbar.messages.selection import team_of, type_matches
from busbar.notifier.domain import (
    NEVER_DELIVERED,
    SecretProblem,
    Subscription,
    SubscriptionState,
    decide_subscription,
    evolve,
    matches,
    unknown_secret,
)

OPERATION = UUID(EXAMPLE_OPERATION)
INTENT = IntentRef.model_validate(EXAMPLE_INTENT)
PROVISIONED = "busbar.resource.provisioned.v1"

APPLY = ApplySubscription.model_validate(ApplySubscription.EXAMPLES[0])
DELETE = DeleteSubscription(team=APPLY.team, name=APPLY.name)
IN_FORCE = Subscription(
    team="payments", name="orders-done", url=APPLY.url, types=APPLY.types, secret=APPLY.secret
)

UNKNOWN = unknown_secret(APPLY.secret, team=APPLY.team)


def decide(
    intent: ApplySubscription | DeleteSubscription,
    state: SubscriptionState | None = None,
    *,
    secret_problem: SecretProblem | None = None,
    url_problem: str | None = None,
) -> list[Fact]:
    return decide_subscription(
        state or SubscriptionState(),
        intent,
        operation=OPERATION,
        intent_ref=INTENT,
        secret_problem=secret_problem,
        url_problem=url_problem,
    )


def refusal(facts: list[Fact]) -> SubscriptionRefused:
    (fact,) = facts
    assert isinstance(fact, SubscriptionRefused)
    assert (fact.operation, fact.intent) == (OPERATION, INTENT)
    assert fact.detail
    assert fact.fix
    return fact


def subscription(*types: str, team: str = "payments") -> Subscription:
    return Subscription(
        team=team, name="x", url="https://x.example/", types=types, secret=APPLY.secret
    )


def test_a_sound_intent_puts_the_subscription_in_force() -> None:
    facts = decide(APPLY)
    assert facts == [
        Subscribed(
            operation=OPERATION,
            intent=INTENT,
            subscription="payments/orders-done",
            url=APPLY.url,
            types=APPLY.types,
            secret=APPLY.secret,
        )
    ]
    assert fold(evolve, SubscriptionState(), facts) == SubscriptionState(IN_FORCE)
    assert IN_FORCE.key == "payments/orders-done"


def test_the_same_subscription_again_is_recorded_again_so_that_the_operation_ends() -> None:
    assert decide(APPLY, SubscriptionState(IN_FORCE)) == decide(APPLY)


def test_a_changed_subscription_replaces_the_one_before() -> None:
    changed = APPLY.model_copy(update={"url": "https://elsewhere.example/"})
    state = fold(evolve, SubscriptionState(IN_FORCE), decide(changed, SubscriptionState(IN_FORCE)))
    assert state.subscription is not None
    assert state.subscription.url == "https://elsewhere.example/"


def test_an_unknown_secret_is_refused_by_its_name() -> None:
    fact = refusal(decide(APPLY, secret_problem=UNKNOWN))
    assert fact.reason == "unknown_secret"
    assert fact.detail == "the team payments has no secret called payments-orders-done"
    assert "`busbar secrets put payments-orders-done --team payments`; then send" in fact.fix


def test_a_url_with_a_problem_is_refused_with_that_problem() -> None:
    fact = refusal(decide(APPLY, url_problem="the URL has port 0"))
    assert (fact.reason, fact.detail) == ("bad_url", "the URL has port 0")


@pytest.mark.parametrize(
    "pattern",
    ["busbar.resource.provisoned.v1", "busbar.resource.apply.v1", *sorted(NEVER_DELIVERED)],
)
def test_a_type_that_would_never_be_delivered_is_refused(pattern: str) -> None:
    fact = refusal(decide(APPLY.model_copy(update={"types": (PROVISIONED, pattern)})))
    assert fact.reason == "unknown_type"
    assert pattern in fact.detail


def test_a_misspelt_type_is_followed_by_the_one_that_was_meant() -> None:
    wrong = APPLY.model_copy(update={"types": ("busbar.resource.provisoned.v1",)})
    fix = refusal(decide(wrong)).fix
    assert fix.startswith("did you mean 'busbar.resource.provisioned.v1'? use a type that")


def test_a_refusal_changes_nothing() -> None:
    state = SubscriptionState(IN_FORCE)
    assert fold(evolve, state, decide(APPLY, state, secret_problem=UNKNOWN)) == state


def test_a_subscription_in_force_can_be_ended() -> None:
    facts = decide(DELETE, SubscriptionState(IN_FORCE), secret_problem=UNKNOWN, url_problem="bad")
    assert facts == [
        Unsubscribed(operation=OPERATION, intent=INTENT, subscription="payments/orders-done")
    ]
    assert fold(evolve, SubscriptionState(IN_FORCE), facts) == SubscriptionState()


def test_a_subscription_that_is_not_there_cannot_be_ended() -> None:
    fact = refusal(decide(DELETE))
    assert (fact.reason, fact.detail) == (
        "not_found",
        "there is no subscription payments/orders-done",
    )


def test_facts_about_other_things_leave_the_state_alone() -> None:
    state = SubscriptionState(IN_FORCE)
    fact = WebhookDelivered.model_validate(WebhookDelivered.EXAMPLES[0])
    assert evolve(state, fact) is state


@given(steps=st.lists(st.tuples(st.sampled_from([APPLY, DELETE]), st.booleans())))
def test_the_history_alone_decides_whether_a_subscription_is_in_force(
    steps: list[tuple[ApplySubscription | DeleteSubscription, bool]],
) -> None:
    state, expected = SubscriptionState(), False
    for intent, known in steps:
        facts = decide(intent, state, secret_problem=None if known else UNKNOWN)
        assert len(facts) == 1
        state = fold(evolve, state, facts)
        expected = (known or expected) if isinstance(intent, ApplySubscription) else False
        assert (state.subscription is not None) == expected


@pytest.mark.parametrize(
    ("pattern", "type_", "expected"),
    [
        (PROVISIONED, PROVISIONED, True),
        (PROVISIONED, "busbar.resource.provisioned.v11", False),
        ("busbar.resource.*", PROVISIONED, True),
        ("busbar.*.v1", PROVISIONED, True),
        ("busbar.*", PROVISIONED, True),
        ("busbar.**.v*", PROVISIONED, True),
        ("busbar.*.provisioned.*", PROVISIONED, True),
        ("busbar.policy.*", PROVISIONED, False),
        ("busbar.*.failed.*", PROVISIONED, False),
        ("busbar.resource.provisioned.v1*v1", PROVISIONED, False),
        ("busbarXresource*", PROVISIONED, False),
        ("busbar.*provisioned*provisioned*", PROVISIONED, False),
    ],
)
def test_a_star_stands_for_any_run_of_characters(
    pattern: str, type_: str, *, expected: bool
) -> None:
    assert type_matches(pattern, type_) is expected


@given(pattern=st.text("a*.", max_size=8), type_=st.text("a.", max_size=8))
def test_patterns_mean_what_the_regular_expression_would_mean(pattern: str, type_: str) -> None:
    expression = ".*".join(map(re.escape, pattern.split("*")))
    assert type_matches(pattern, type_) is (re.fullmatch(expression, type_) is not None)


@pytest.mark.timeout(5)
def test_a_pattern_of_many_stars_takes_no_time() -> None:
    assert not type_matches("busbar." + "*a" * 120 + "b", "busbar." + "a" * 240)


def test_only_the_facts_of_the_team_are_delivered() -> None:
    everything = subscription("busbar.*")
    assert matches(everything, PROVISIONED, "payments/dev/event-stream/orders")
    assert not matches(everything, PROVISIONED, "payments-2/dev/event-stream/orders")
    assert not matches(everything, PROVISIONED, "billing/dev/event-stream/payments")


def test_the_resource_counts_and_not_what_the_data_says() -> None:
    data = {"team": "payments", "requested": {"team": "payments"}}
    assert not matches(subscription("busbar.*"), PROVISIONED, "billing/dev/a/b", data)


def test_any_of_several_patterns_suffices() -> None:
    both = subscription("busbar.policy.*", PROVISIONED)
    assert matches(both, PROVISIONED, "payments/dev/a/b")
    assert matches(both, "busbar.policy.denied.v1", "payments/dev/a/b")
    assert not matches(both, "busbar.resource.failed.v1", "payments/dev/a/b")


@pytest.mark.parametrize(
    ("data", "team"),
    [
        ({"team": "payments"}, "payments"),
        ({"subscription": "payments/orders-done"}, "payments"),
        ({"requested": {"team": "payments"}}, "payments"),
        ({"requested": ["payments"]}, None),
        ({"requested": None}, None),
        ({"requested": {"team": 7}}, None),
        ({"team": ["payments"]}, None),
        ({"team": ""}, None),
        ({"subscription": "/payments"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_fact_without_a_resource_belongs_to_the_team_its_data_names(
    data: dict[str, Any] | None, team: str | None
) -> None:
    assert team_of(None, data) == team
    denied = "busbar.policy.denied.v1"
    assert matches(subscription("busbar.*"), denied, None, data) is (team == "payments")
    assert not matches(subscription("busbar.*", team="billing"), denied, None, data)


@pytest.mark.parametrize("type_", sorted(NEVER_DELIVERED))
def test_facts_about_deliveries_and_heads_are_never_delivered(type_: str) -> None:
    assert not matches(subscription("busbar.*", type_), type_, "payments/dev/a/b")


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.TYPE)
def test_every_example_of_the_catalogue_can_be_asked_about(fact: type[Fact]) -> None:
    for data in fact.EXAMPLES:
        wanted = team_of(data.get("resource"), data) == "payments"
        delivered = matches(subscription("busbar.*"), fact.TYPE, data.get("resource"), data)
        assert delivered is (wanted and fact.TYPE not in NEVER_DELIVERED)
