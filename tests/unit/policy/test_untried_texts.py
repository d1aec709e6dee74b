"""A text that a pattern cannot be tried on is refused, whatever keyword surrounds the pattern."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.policy.domain import Promise
from busbar.policy.domain.patterns import MAX_TEXT
from busbar.policy.domain.spec_errors import violations
from busbar.policy.domain.validator import validator_for

Build = Callable[..., Promise]
BAD = {"pattern": "^bad"}
GOOD = {"pattern": "^good"}


@pytest.mark.parametrize(
    "schema",
    [
        BAD,
        {"not": BAD},
        {"not": {"not": BAD}},
        {"allOf": [{"not": BAD}]},
        {"anyOf": [{"not": BAD}, {"type": "integer"}]},
        {"oneOf": [{"type": "string"}, BAD]},
        {"oneOf": [{"not": BAD}, GOOD]},
        {"if": BAD, "then": False},
        {"if": BAD, "else": True},
        {"$ref": "#/$defs/harmless"},
    ],
)
def test_a_text_too_long_for_a_pattern_is_refused_under_any_keyword(
    promise: Build, schema: dict[str, Any]
) -> None:
    properties = {"x": schema, "list": {"items": schema}, "free": {"type": "string"}}
    spec = {"type": "object", "additionalProperties": False, "properties": properties}
    thing = promise(spec={**spec, "$defs": {"harmless": {"not": BAD}}})
    text = "bad" + "x" * (MAX_TEXT - 2)

    assert thing.newest.violations({"free": text}) == ()
    assert [found.pointer for found in thing.newest.violations({"x": text})] == ["/spec/x"]
    (found,) = thing.newest.violations({"free": "bad" + text[3:], "list": ["good", text]})
    assert found.pointer == "/spec/list/1"
    assert "must match a pattern, so at most 1024 characters; it has 1025" in found.message
    assert found.fix == "write at most 1024 characters"


@pytest.mark.parametrize(
    "schema",
    [
        {"propertyNames": {"not": BAD}},
        {"propertyNames": {"if": BAD, "then": False}},
        {"patternProperties": {"^bad": False}},
        {"patternProperties": {"^bad": True}, "additionalProperties": True},
        {"patternProperties": {"^bad": True}, "unevaluatedProperties": {"type": "integer"}},
        {"not": {"patternProperties": {"^bad": {"type": "string"}}, "minProperties": 1}},
        {"if": {"patternProperties": {"^bad": False}}, "else": False},
        {"dependentSchemas": {"on": {"propertyNames": {"not": BAD}}}},
        {"dependentSchemas": {"on": {"not": {"patternProperties": {"^bad": {"const": 1}}}}}},
    ],
)
def test_a_name_too_long_for_a_pattern_is_refused_under_any_keyword(
    promise: Build, schema: dict[str, Any]
) -> None:
    name = "bad" + "x" * (MAX_TEXT - 2)

    thing = promise({"box": {"type": "object", **schema}})

    found = thing.newest.violations({"box": {"on": 1, name: 1}})

    assert [violation.pointer for violation in found] == [f"/spec/box/{name}"]


KEYWORDS: list[Callable[[Any], dict[str, Any]]] = [
    lambda inner: {"not": inner},
    lambda inner: {"allOf": [inner]},
    lambda inner: {"anyOf": [inner, False]},
    lambda inner: {"oneOf": [inner, False]},
    lambda inner: {"if": inner, "then": False},
    lambda inner: {"if": inner, "else": False},
]


@given(st.lists(st.sampled_from(KEYWORDS), max_size=5))
def test_no_nesting_of_keywords_lets_a_text_too_long_for_a_pattern_pass(
    nesting: list[Callable[[Any], dict[str, Any]]],
) -> None:
    schema: dict[str, Any] = BAD
    for keyword in nesting:
        schema = keyword(schema)
    validator = validator_for({"properties": {"x": schema}})

    found = violations(validator, {"x": "bad" + "x" * MAX_TEXT})

    assert [violation.pointer for violation in found] == ["/spec/x"]
