from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from busbar.kernel.resource import ResourceId
from busbar.messages.base import Fact, IntentRef
from busbar.messages.policy import IntentDenied, Violation
from busbar.messages.resource import ApplyResource, DeleteResource
from busbar.messages.topics import INTENTS_RESOURCE
from busbar.policy.domain import (
    deny_invalid,
    deny_unknown_type,
    violations_of,
)

OPERATION = UUID("0b6f8e0e-2b53-5d6e-8a53-6f5f4c1f9a10")
NAMED = {"team": "payments", "environment": "dev", "promise": "event-stream", "name": "orders"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


def intent(type_: str = ApplyResource.TYPE) -> IntentRef:
    return IntentRef(source="urn:team:payments", id="1", type=type_)


def refused(data: Any, model: type[ApplyResource | DeleteResource]) -> list[Violation]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(data)
    return list(violations_of(caught.value, model))


def denial(facts: list[Fact]) -> IntentDenied:
    (fact,) = facts
    assert isinstance(fact, IntentDenied)
    return fact


@pytest.mark.parametrize(
    ("change", "pointer", "message", "fix"),
    [
        ({"nmae": "x"}, "/nmae", "nmae is not a known field", "did you mean 'name'?"),
        ({"a/b": 1}, "/a~1b", "a/b is not a known field", "known are: team, environment"),
        ({"team": "Payments!"}, "/team", 'team cannot be "Payments!"', "lower-case letters"),
        ({"team": 5}, "/team", "team must be a string; it is 5", "write a string"),
        ({"version": "1"}, "/version", 'version cannot be "1"', "must be a version, as v1"),
        ({"spec": []}, "/spec", "spec must be an object", "write an object"),
        (
            {"expected_generation": "1"},
            "/expected_generation",
            'expected_generation must be a whole number; it is "1"',
            "write a whole number",
        ),
        ({"expected_generation": -1}, "/expected_generation", "cannot be -1", "greater than or"),
    ],
)
def test_data_that_does_not_fit_is_explained_with_a_fix(
    change: dict[str, Any], pointer: str, message: str, fix: str
) -> None:
    (violation,) = refused({**NAMED, "spec": {}, **change}, ApplyResource)

    assert violation.rule == "invalid_intent"
    assert violation.pointer == pointer
    assert message in violation.message
    assert fix in violation.fix


def test_everything_that_is_wrong_is_named() -> None:
    violations = refused({"team": "A", "spec": {}}, DeleteResource)

    assert [(v.pointer, v.message.split()[-1]) for v in violations] == [
        ("/environment", "missing"),
        ("/name", "missing"),
        ("/promise", "missing"),
        ("/spec", "field"),
        ("/team", '"A"'),
    ]


@pytest.mark.parametrize("data", [None, [], "x", 5])
def test_data_that_are_no_object_are_refused_as_a_whole(data: Any) -> None:
    (violation,) = refused(data, ApplyResource)

    assert violation.pointer == ""
    assert "the data must be an object" in violation.message


@given(JSON | st.dictionaries(st.sampled_from([*NAMED, "spec", "x"]), JSON))
def test_any_data_are_denied_with_reasons_and_kept(data: Any) -> None:
    try:
        ApplyResource.model_validate(data)
    except ValidationError as error:
        violations = violations_of(error, ApplyResource)
        resource = ResourceId.named_in(data)
        fact = denial(
            deny_invalid(
                operation=OPERATION,
                intent=intent(),
                resource=resource,
                requested=data,
                violations=violations,
            )
        )
        assert fact.reason == "invalid_intent"
        assert fact.violations
        assert fact.resource == (str(resource) if resource else None)
        assert fact.model_dump_json()
        if isinstance(data, dict):
            assert fact.requested == data


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {**NAMED, "team": 5},
        {**NAMED, "team": "A"},
        {**NAMED, "team": "a/b"},
        {"team": "a/b", "environment": "c", "promise": "d"},
        {name: NAMED[name] for name in ("team", "name")},
    ],
)
def test_a_resource_is_only_named_by_four_good_parts(data: Any) -> None:
    assert ResourceId.named_in(data) is None
    assert ResourceId.named_in({**NAMED, "nonsense": 1}) == ResourceId(**NAMED)


@pytest.mark.parametrize(
    ("type_", "message", "fix"),
    [
        ("busbar.resource.aply.v1", "is not a type", "did you mean busbar.resource.apply.v1?"),
        ("order.placed", "is not a type", "busbar.resource.apply.v1, busbar.resource.delete.v1"),
        ("busbar.policy.allowed.v1", "is a fact", "publish an intent"),
        (
            "busbar.subscription.apply.v1",
            "does not belong in busbar.intents.resource",
            "publish it to busbar.intents.subscription",
        ),
    ],
)
def test_an_unknown_type_is_denied_with_the_known_ones(type_: str, message: str, fix: str) -> None:
    fact = denial(
        deny_unknown_type(
            operation=OPERATION,
            intent=intent(type_),
            topic=INTENTS_RESOURCE,
            resource=None,
            requested=["x", 1],
        )
    )

    assert fact.reason == "unknown_type"
    assert message in fact.violations[0].message
    assert fix in fact.violations[0].fix
    for known in (ApplyResource.TYPE, DeleteResource.TYPE):
        assert known in fact.violations[0].fix
    assert fact.requested == '["x", 1]'
