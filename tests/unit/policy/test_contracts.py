from collections.abc import Callable
from typing import Any

import pytest

from busbar.kernel.expressions import Template, resolve_outputs, truthy
from busbar.messages.policy import IntentAllowed
from busbar.policy.domain import (
    Promises,
    ReceivedIntent,
    ResourcePolicyState,
    RuleBook,
    decide,
)

ADAPTER_INPUTS = {
    "name": str,
    "partitions": int,
    "replicas": int,
    "retention_hours": int,
    "compacted": bool,
}


def verdict(intent: ReceivedIntent, catalogue: Promises, rules: RuleBook) -> Any:
    return decide(ResourcePolicyState(), intent, catalogue, rules)[0]


def run(fact: IntentAllowed) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the inputs of the steps and the outputs of the plan if every adapter is an echo."""
    team, environment, promise, name = fact.resource.split("/")
    scope: dict[str, Any] = {
        "resource": {
            "id": fact.resource,
            "team": team,
            "environment": environment,
            "promise": promise,
            "name": name,
        },
        "spec": fact.spec,
        "steps": {},
    }
    for step in fact.plan.steps:
        if step.when is None or truthy(step.when, scope):
            scope["steps"][step.name] = Template(step.inputs, ()).resolve(scope)
    return scope["steps"], resolve_outputs(fact.plan.outputs, scope)


def test_everything_that_busbar_ships_is_in_order(
    catalogue: Promises, house_rules: RuleBook
) -> None:
    assert catalogue.broken == {}
    assert "event-stream" in catalogue.offered
    assert all(rule.description and rule.match.promise for rule in house_rules.rules)


def test_every_example_is_allowed_and_gives_the_adapter_what_it_takes(
    catalogue: Promises, house_rules: RuleBook, received: Callable[..., ReceivedIntent]
) -> None:
    examples = catalogue.offered["event-stream"].newest.examples
    assert len(examples) >= 2
    for example in examples:
        steps, _ = run(verdict(received(spec=example.spec), catalogue, house_rules))
        for inputs in steps.values():
            assert {name: type(value) for name, value in inputs.items()} == ADAPTER_INPUTS


def test_a_stream_is_one_topic_and_with_dead_letters_two(
    catalogue: Promises, house_rules: RuleBook, received: Callable[..., ReceivedIntent]
) -> None:
    plain, outputs = run(verdict(received(), catalogue, house_rules))
    assert list(plain) == ["topic"]
    assert outputs == {"topic": "payments.dev.orders"}

    spec = {"dead_letters": {"enabled": True, "replicas": 2}}
    both, outputs = run(verdict(received(spec=spec), catalogue, house_rules))
    assert both["dead-letters"] == {
        "name": "payments.dev.orders-dead-letters",
        "partitions": 1,
        "replicas": 2,
        "retention_hours": 168,
        "compacted": False,
    }
    assert outputs["dead_letter_topic"] == "payments.dev.orders-dead-letters"


@pytest.mark.parametrize(
    ("data", "rules"),
    [
        ({"spec": {"retention_hours": 169}}, ["retention-limit"]),
        ({"spec": {"retention_hours": 168}}, []),
        ({"environment": "stage", "spec": {"retention_hours": 169}}, []),
        ({"environment": "test", "spec": {"retention_hours": 169}}, ["retention-limit"]),
        ({"environment": "stage", "spec": {"partitions": 25}}, ["partition-limit"]),
        ({"spec": {"partitions": 24}}, []),
        ({"environment": "prod", "spec": {"partitions": 25, "replicas": 3}}, []),
        ({"name": "orders-dead-letters"}, ["reserved-names"]),
        ({"name": "dead-letters-of-orders"}, []),
    ],
)
def test_the_house_rules_deny_what_they_say(
    catalogue: Promises,
    house_rules: RuleBook,
    received: Callable[..., ReceivedIntent],
    data: dict[str, Any],
    rules: list[str],
) -> None:
    fact = verdict(received(**data), catalogue, house_rules)

    assert [violation.rule for violation in getattr(fact, "violations", ())] == rules
    assert "${" not in fact.model_dump_json(include={"violations"})


def test_every_house_rule_has_an_example_that_it_lets_pass_and_one_that_it_does_not(
    house_rules: RuleBook,
) -> None:
    for rule in house_rules.rules:
        expected = {example.expect for example in rule.examples}
        assert expected == {"allowed", "denied" if rule.effect == "deny" else "warned"}, rule.name
        assert any(example.message for example in rule.examples), rule.name


def test_the_retention_limit_names_the_limit_the_value_and_the_fix(
    catalogue: Promises, house_rules: RuleBook, received: Callable[..., ReceivedIntent]
) -> None:
    fact = verdict(received(spec={"retention_hours": 8760}), catalogue, house_rules)

    assert fact.violations[0].model_dump() == {
        "rule": "retention-limit",
        "message": "events can be kept for 168 hours in dev, but 8760 were requested",
        "fix": "lower retention_hours to 168, or request it in another environment",
        "pointer": "/spec/retention_hours",
    }
