import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.kernel.decide import fold
from busbar.messages.base import Fact
from busbar.messages.intervention import InterventionAllowed, ResourceReleased
from busbar.messages.plan import Plan
from busbar.messages.policy import IntentAllowed, IntentDenied, IntentExpired
from busbar.messages.resource import ResourceDeleted, ResourceFailed, ResourceProvisioned
from busbar.policy.domain import (
    Promise,
    Promises,
    ReceivedIntent,
    ResourcePolicyState,
    RuleBook,
    decide,
    evolve,
)
from busbar.policy.domain.environments import Environment, Environments
from busbar.policy.domain.rules import Rule

Receive = Callable[..., ReceivedIntent]
ABSENT = ResourcePolicyState()
DECLARED = Environments.of(
    Environment(name=name, title=name, order=order) for order, name in enumerate(("dev", "prod"))
)
NO_RULES = RuleBook.of([], DECLARED)
DENY_ALL = RuleBook.of([Rule(name="frozen", effect="deny", message="no", fix="wait")], DECLARED)
RESOURCE = "payments/dev/event-stream/orders"


def allowed(facts: list[Fact]) -> IntentAllowed:
    (fact,) = facts
    assert isinstance(fact, IntentAllowed), fact
    return fact


def denied(facts: list[Fact]) -> IntentDenied:
    (fact,) = facts
    assert isinstance(fact, IntentDenied), fact
    return fact


@pytest.fixture(scope="module")
def there(catalogue: Promises, received: Receive) -> ResourcePolicyState:
    """A resource at generation 1."""
    return fold(evolve, ABSENT, decide(ABSENT, received(), catalogue, NO_RULES))


def test_a_valid_intent_is_allowed_on_the_plan_of_the_newest_version(
    catalogue: Promises, house_rules: RuleBook, received: Receive
) -> None:
    intent = received(spec={"partitions": 6})

    fact = allowed(decide(ABSENT, intent, catalogue, house_rules))

    version = catalogue.offered["event-stream"].newest
    assert fact.operation == intent.operation
    assert fact.intent == intent.intent
    assert fact.resource == RESOURCE
    assert fact.requested == intent.data
    assert (fact.action, fact.generation) == ("apply", 1)
    assert fact.promise == version.ref
    assert fact.plan == version.plan
    assert fact.spec == version.with_defaults({"partitions": 6})
    assert fact.policies == house_rules.digest
    assert fact.rules == ("partition-limit", "reserved-names", "retention-limit")
    assert fact.warnings == ()


def test_a_whole_number_is_recorded_the_same_however_json_writes_it(
    catalogue: Promises, received: Receive
) -> None:
    one, other = (
        allowed(decide(ABSENT, received(spec=spec), catalogue, NO_RULES)).spec
        for spec in ({"partitions": 6}, {"partitions": 6.0})
    )

    assert json.dumps(one) == json.dumps(other)


def test_an_intent_that_came_too_late_expires_whatever_it_asks_for(
    catalogue: Promises, received: Receive
) -> None:
    expiry = datetime(2026, 1, 1, tzinfo=UTC)

    late = received(promise="nothing", envelope={"expirytime": expiry, "subject": "x"})
    assert decide(ABSENT, late, catalogue, NO_RULES) == [
        IntentExpired(
            operation=late.operation,
            intent=late.intent,
            resource="payments/dev/nothing/orders",
            requested=late.data,
            expired_at=expiry,
        )
    ]
    in_time = received(envelope={"expirytime": expiry + timedelta(microseconds=1)})
    assert allowed(decide(ABSENT, in_time, catalogue, NO_RULES))


def test_a_subject_has_to_be_the_resource_of_the_data(
    catalogue: Promises, received: Receive
) -> None:
    other = received(envelope={"subject": "risk/dev/event-stream/orders"})
    same = received(envelope={"subject": RESOURCE})

    fact = denied(decide(ABSENT, other, catalogue, NO_RULES))
    assert fact.reason == "other_resource"
    assert fact.resource == RESOURCE
    assert "risk/dev/event-stream/orders" in fact.violations[0].message
    assert allowed(decide(ABSENT, same, catalogue, NO_RULES))


def test_an_unknown_promise_is_denied_with_what_is_offered(
    catalogue: Promises, received: Receive
) -> None:
    typo = denied(decide(ABSENT, received(promise="event-steam"), catalogue, NO_RULES))
    other = denied(decide(ABSENT, received(promise="database"), catalogue, NO_RULES))

    assert typo.reason == other.reason == "unknown_promise"
    assert "did you mean 'event-stream'?" in typo.violations[0].fix
    assert other.violations[0].fix.endswith("offered are: event-stream, postgres-database")
    assert other.violations[0].pointer == "/promise"


@pytest.mark.parametrize("key", ["database", "contracts/promises/database.yaml"])
def test_a_broken_promise_is_denied_with_what_is_broken(
    catalogue: Promises, received: Receive, key: str
) -> None:
    problem = "the promise file database.yaml is broken: line 3: bad"
    broken = replace(catalogue, broken={key: problem})

    fact = denied(decide(ABSENT, received(promise="database"), broken, NO_RULES))

    assert fact.reason == "unknown_promise"
    assert problem in fact.violations[0].message
    assert allowed(decide(ABSENT, received(), broken, NO_RULES))


@pytest.mark.parametrize("action", ["apply", "delete"])
def test_an_environment_that_is_not_declared_is_denied_with_those_that_are(
    catalogue: Promises, received: Receive, action: str
) -> None:
    fact = denied(decide(ABSENT, received(action, environment="prd"), catalogue, NO_RULES))

    assert fact.reason == "unknown_environment"
    assert fact.violations[0].message == "there is no environment prd"
    assert fact.violations[0].fix == "did you mean 'prod'? declared are: dev, prod"
    assert fact.violations[0].pointer == "/environment"


def test_what_is_in_an_environment_that_is_not_declared_any_more_can_be_deleted(
    catalogue: Promises, received: Receive, there: ResourcePolicyState
) -> None:
    gone = RuleBook.of([], Environments())

    assert allowed(decide(there, received("delete"), catalogue, gone))
    assert denied(decide(there, received(), catalogue, gone)).reason == "unknown_environment"


def test_an_unknown_version_is_denied_with_those_there_are(
    catalogue: Promises, received: Receive
) -> None:
    fact = denied(decide(ABSENT, received(version="v7"), catalogue, NO_RULES))

    assert fact.reason == "unknown_promise_version"
    assert "one of: v1" in fact.violations[0].fix
    assert fact.violations[0].pointer == "/version"


def test_a_version_that_is_asked_for_is_used(
    received: Receive, promise: Callable[..., Promise]
) -> None:
    old, new = promise({"a": {}}).newest, promise({"b": {}}).newest
    thing = replace(promise(), versions={"v1": old, "v2": replace(new, version="v2")})
    catalogue = Promises(offered={"thing": thing})

    first = received(promise="thing", version="v1", spec={"a": 1})
    newest = received(promise="thing", spec={"b": 1})

    assert allowed(decide(ABSENT, first, catalogue, NO_RULES)).promise == old.ref
    assert allowed(decide(ABSENT, newest, catalogue, NO_RULES)).promise.version == "v2"


def test_a_spec_that_does_not_fit_is_denied_with_everything_that_is_wrong(
    catalogue: Promises, received: Receive
) -> None:
    intent = received(spec={"partitions": 0, "nonsense": True})

    fact = denied(decide(ABSENT, intent, catalogue, DENY_ALL))

    assert fact.reason == "invalid_spec"
    assert [v.pointer for v in fact.violations] == ["/spec/nonsense", "/spec/partitions"]
    assert fact.requested == intent.data
    assert fact.policies is None


@pytest.mark.parametrize("action", ["apply", "delete"])
def test_a_generation_that_is_not_the_expected_one_is_denied_naming_it(
    catalogue: Promises, received: Receive, there: ResourcePolicyState, action: str
) -> None:
    stale = denied(decide(there, received(action, expected_generation=0), catalogue, NO_RULES))
    right = allowed(decide(there, received(action, expected_generation=1), catalogue, NO_RULES))

    assert stale.reason == "generation_mismatch"
    assert "is at generation 1, but generation 0 was expected" in stale.violations[0].message
    assert stale.violations[0].pointer == "/expected_generation"
    assert right.generation == 2


def test_a_resource_that_was_deleted_is_expected_at_generation_0(
    catalogue: Promises, received: Receive, there: ResourcePolicyState
) -> None:
    gone = fold(evolve, there, decide(there, received("delete"), catalogue, NO_RULES))

    stale = denied(decide(gone, received(expected_generation=2), catalogue, NO_RULES))
    again = allowed(decide(gone, received(expected_generation=0), catalogue, NO_RULES))

    assert "does not exist (generation 0)" in stale.violations[0].message
    assert again.generation == 3


def test_a_rule_that_fires_denies_and_a_warning_does_not(
    catalogue: Promises, house_rules: RuleBook, received: Receive
) -> None:
    greedy = received(spec={"retention_hours": 9000 - 1000, "partitions": 30})
    bold = received(environment="prod", spec={"retention_hours": 8000})

    fact = denied(decide(ABSENT, greedy, catalogue, house_rules))
    assert fact.reason == "rule"
    assert [violation.rule for violation in fact.violations] == [
        "partition-limit",
        "retention-limit",
    ]
    assert fact.policies == house_rules.digest
    accepted = allowed(decide(ABSENT, bold, catalogue, house_rules))
    assert [violation.rule for violation in accepted.warnings] == ["single-replica"]
    assert "single-replica" not in accepted.rules


def test_rules_see_the_defaults(catalogue: Promises, received: Receive) -> None:
    rules = RuleBook.of(
        [
            Rule.model_validate(
                {
                    "name": "no-three",
                    "effect": "deny",
                    "message": "not ${value}",
                    "fix": "choose",
                    "when": [{"pointer": "/spec/partitions", "equals": 3}],
                }
            )
        ],
        DECLARED,
    )

    assert denied(decide(ABSENT, received(), catalogue, rules)).violations[0].message == "not 3"


def ended(state: ResourcePolicyState, end: type[Fact], **fields: Any) -> ResourcePolicyState:
    """The state after the operation that was accepted last has ended."""
    pending = state.desired.pending[-1]
    about = {"operation": pending.operation, "resource": RESOURCE, "generation": pending.generation}
    return evolve(state, end.model_validate({**end.EXAMPLES[0], **about, **fields}))


def test_a_failed_change_leaves_the_generation_that_was_there(
    catalogue: Promises, received: Receive, there: ResourcePolicyState
) -> None:
    there = ended(there, ResourceProvisioned)
    operation = UUID("0b6f8e0e-2b53-5d6e-8a53-6f5f4c1f9a11")
    (second,) = decide(there, replace(received(), operation=operation), catalogue, NO_RULES)
    changing = evolve(there, second)
    assert (changing.current, changing.generation) == (2, 2)

    failed = ended(changing, ResourceFailed, left="previous", observed_generation=1)

    assert (failed.current, failed.generation) == (1, 2)
    assert allowed(decide(failed, received(expected_generation=1), catalogue, NO_RULES))
    stale = denied(decide(failed, received(expected_generation=2), catalogue, NO_RULES))
    assert "is at generation 1, but generation 2 was expected" in stale.violations[0].message
    assert allowed(decide(failed, received(), catalogue, NO_RULES)).generation == 3


@pytest.mark.parametrize(
    ("end", "fields", "current"),
    [
        (ResourceProvisioned, {}, 1),
        (ResourceFailed, {"left": "absent"}, 0),
        (ResourceFailed, {"left": "partial"}, 1),
        (ResourceReleased, {}, 0),
    ],
)
def test_a_resource_exists_unless_its_creation_left_nothing(
    there: ResourcePolicyState, end: type[Fact], fields: dict[str, Any], current: int
) -> None:
    assert ended(there, end, **fields).current == current


def test_a_mismatch_names_the_operation_that_is_pending(
    catalogue: Promises, received: Receive, there: ResourcePolicyState
) -> None:
    fact = denied(decide(there, received(expected_generation=0), catalogue, NO_RULES))
    operation = there.desired.pending[-1].operation
    assert f"it is being provisioned by operation {operation}" in fact.violations[0].message


def test_what_is_being_deleted_or_is_gone_can_be_deleted_again(
    catalogue: Promises, received: Receive, there: ResourcePolicyState
) -> None:
    deleting = evolve(there, allowed(decide(there, received("delete"), catalogue, NO_RULES)))
    gone = ended(deleting, ResourceDeleted)
    failed = ended(there, ResourceFailed, left="absent")
    for state in (deleting, gone, failed):
        again = allowed(decide(state, received("delete"), catalogue, NO_RULES))
        assert again.generation == state.generation + 1


@pytest.mark.parametrize("action", ["retry", "abandon", "release"])
def test_an_intervention_is_allowed_once_the_resource_is_known(
    catalogue: Promises, received: Receive, there: ResourcePolicyState, action: str
) -> None:
    target = {} if action == "release" else {"operation": str(received().operation)}
    intent = received(action, **target)

    (fact,) = decide(there, intent, catalogue, DENY_ALL)

    assert isinstance(fact, InterventionAllowed)
    assert (fact.action, fact.target) == (action, received().operation if target else None)
    assert evolve(there, fact) == there
    assert denied(decide(ABSENT, intent, catalogue, NO_RULES)).reason == "not_found"


def test_what_never_existed_cannot_be_deleted(catalogue: Promises, received: Receive) -> None:
    fact = denied(decide(ABSENT, received("delete"), catalogue, DENY_ALL))

    assert fact.reason == "not_found"
    assert RESOURCE in fact.violations[0].message


def test_a_delete_needs_no_catalogue_and_names_what_was_applied(
    received: Receive, there: ResourcePolicyState, house_rules: RuleBook
) -> None:
    fact = allowed(decide(there, received("delete"), Promises(), house_rules))

    assert (fact.action, fact.generation) == ("delete", 2)
    assert fact.promise == there.promise
    assert fact.spec == {}
    assert fact.plan == Plan(steps=())


def test_a_rule_can_deny_a_delete(
    catalogue: Promises, received: Receive, there: ResourcePolicyState
) -> None:
    fact = denied(decide(there, received("delete"), catalogue, DENY_ALL))

    assert fact.reason == "rule"
    assert fact.policies == DENY_ALL.digest


def test_facts_of_others_change_nothing(there: ResourcePolicyState) -> None:
    assert evolve(there, Fact()) == there


SPECS = st.fixed_dictionaries(
    {}, optional={"partitions": st.integers(-1, 40), "retention_hours": st.integers(1, 400)}
)
DATA = st.fixed_dictionaries(
    {},
    optional={
        "expected_generation": st.integers(0, 4),
        "environment": st.sampled_from(["dev", "prod", "nowhere"]),
        "promise": st.sampled_from(["event-stream", "nothing"]),
    },
)
ASKED = st.lists(
    st.tuples(st.just("apply"), DATA, SPECS) | st.tuples(st.just("delete"), DATA, st.none()),
    max_size=12,
)


@given(ASKED)
def test_a_generation_is_added_by_every_intent_allowed_and_by_nothing_else(
    catalogue: Promises,
    house_rules: RuleBook,
    received: Receive,
    asked: list[tuple[str, dict[str, Any], dict[str, Any] | None]],
) -> None:
    state, history = ABSENT, list[Fact]()
    for action, data, spec in asked:
        intent = received(action, **data, **({} if spec is None else {"spec": spec}))

        facts = decide(state, intent, catalogue, house_rules)

        (fact,) = facts
        after = evolve(state, fact)
        if isinstance(fact, IntentAllowed):
            assert fact.generation == after.generation == state.generation + 1
            assert after.current == (after.generation if action == "apply" else 0)
            assert after.promise == fact.promise
            assert data.get("expected_generation", state.current) == state.current
        else:
            assert isinstance(fact, IntentDenied)
            assert fact.violations
            assert all(violation.fix for violation in fact.violations)
            assert after == state
        if action == "delete" and state.promise is None:
            assert isinstance(fact, IntentDenied)
        history += facts
        state = after
    written = [json.loads(fact.model_dump_json()) for fact in history]
    read = [
        (IntentAllowed if "generation" in data else IntentDenied).model_validate(data)
        for data in written
    ]
    assert fold(evolve, ABSENT, read) == state


@given(DATA, SPECS)
def test_the_same_intent_gives_the_same_bytes(
    catalogue: Promises,
    house_rules: RuleBook,
    received: Receive,
    data: dict[str, Any],
    spec: dict[str, Any],
) -> None:
    intent = received(**data, spec=spec)
    before = json.dumps(intent.data)

    first, second = (
        [fact.model_dump_json() for fact in decide(ABSENT, intent, catalogue, house_rules)]
        for _ in range(2)
    )

    assert first == second
    assert json.dumps(intent.data) == before
