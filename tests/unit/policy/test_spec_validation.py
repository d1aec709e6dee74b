from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from busbar.messages.policy import Violation
from busbar.policy.domain import Promise, Promises
from busbar.policy.domain.spec_errors import MAX_DEPTH, MAX_VIOLATIONS
from busbar.policy.domain.validator import validator_for

Build = Callable[..., Promise]

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON = st.recursive(
    SCALARS,
    lambda children: st.lists(children) | st.dictionaries(st.text(max_size=5), children),
    max_leaves=6,
)
NAMES = st.sampled_from(["partitions", "replicas", "compacted", "dead_letters", "enabled", "extra"])
SPECS = st.dictionaries(NAMES, JSON | st.integers(1, 5) | st.dictionaries(NAMES, SCALARS))


def refused(promise: Promise, spec: dict[str, Any]) -> list[Violation]:
    version = promise.newest
    return list(version.violations(version.with_defaults(spec)))


def test_absent_properties_get_their_defaults_and_present_ones_stay(catalogue: Promises) -> None:
    version = catalogue.offered["event-stream"].newest

    filled = version.with_defaults({"partitions": 6, "dead_letters": {"enabled": True}})

    assert filled == {
        "partitions": 6,
        "retention_hours": 24,
        "replicas": 1,
        "compacted": False,
        "dead_letters": {"enabled": True, "replicas": 1, "retention_hours": 168},
    }


def test_an_object_without_a_default_of_its_own_stays_absent(promise: Build) -> None:
    inner = {"type": "object", "additionalProperties": False, "properties": {"x": {"default": 1}}}
    version = promise({"inner": inner, "list": {"items": inner}}).newest

    assert version.with_defaults({}) == {}
    assert version.with_defaults({"inner": {}, "list": [{}, {"x": 2}]}) == {
        "inner": {"x": 1},
        "list": [{"x": 1}, {"x": 2}],
    }


def test_defaults_are_found_behind_local_references(promise: Build) -> None:
    spec = {
        "type": "object",
        "additionalProperties": False,
        "$defs": {
            "size": {"type": "integer", "default": 3},
            "box": {"properties": {"w": {"$ref": "#/$defs/size"}}, "additionalProperties": False},
        },
        "properties": {
            "size": {"$ref": "#/$defs/size"},
            "box": {"$ref": "#/$defs/box", "default": {}},
        },
    }

    assert promise(spec=spec).newest.with_defaults({}) == {"size": 3, "box": {"w": 3}}


def test_changing_what_was_filled_in_does_not_change_the_promise(promise: Build) -> None:
    version = promise({"x": {"default": {"deep": [1]}}}).newest

    version.with_defaults({})["x"]["deep"].append(2)

    assert version.with_defaults({}) == {"x": {"deep": [1]}}


@given(SPECS)
def test_filling_in_defaults_changes_no_argument_and_twice_is_once(
    catalogue: Promises, spec: dict[str, Any]
) -> None:
    version = catalogue.offered["event-stream"].newest
    before = deepcopy(spec)

    filled = version.with_defaults(spec)

    assert repr(spec) == repr(before)
    assert repr(version.with_defaults(filled)) == repr(filled)
    assert repr(version.with_defaults(spec)) == repr(filled)
    assert {name: filled[name] for name in spec}.keys() == spec.keys()


@given(SPECS)
def test_a_spec_is_accepted_exactly_when_json_schema_accepts_it(
    catalogue: Promises, spec: dict[str, Any]
) -> None:
    version = catalogue.offered["event-stream"].newest
    filled = version.with_defaults(spec)

    violations = version.violations(filled)

    standard = Draft202012Validator(version.schema).is_valid(filled)
    limits = ("whole number", "beyond 2^53")
    stricter = any(limit in said.message for limit in limits for said in violations)
    assert (not violations) == standard or (standard and stricter)
    assert all(v.message and v.fix and v.pointer.startswith("/spec") for v in violations)


@pytest.mark.parametrize(
    ("schema", "value", "message", "fix"),
    [
        ({"type": "integer"}, "3", 'x must be a whole number; it is "3"', "a whole number"),
        ({"type": "integer"}, 3.5, "x must be a whole number; it is 3.5", "a whole number"),
        ({"type": "integer"}, 1e20, "x must be a whole number; it is 1e+20", "a whole number"),
        ({"type": "integer"}, True, "x must be a whole number; it is true", "a whole number"),
        ({"type": ["string", "null"]}, 1, "x must be a string or null; it is 1", "null"),
        ({"enum": ["a", "b"]}, "c", 'x must be one of "a", "b"; it is "c"', 'one of "a", "b"'),
        ({"const": 1}, 2, "x must be 1; it is 2", "write 1"),
        (
            {"type": "integer", "minimum": 1, "maximum": 9},
            10,
            "x must be at most 9; it is 10",
            "write a whole number from 1 to 9",
        ),
        ({"type": "number", "minimum": 1}, 0, "x must be at least 1", "a number of at least 1"),
        ({"exclusiveMaximum": 5}, 5, "x must be less than 5; it is 5", "less than 5"),
        ({"multipleOf": 5}, 6, "x must be a multiple of 5; it is 6", "a multiple of 5"),
        ({"pattern": "^a$"}, "b", 'x must match "^a$"; it is "b"', 'matching "^a$"'),
        ({"pattern": "^a$"}, "a\n", "x must match", "matching"),
        (
            {"pattern": "a"},
            "a" * 1025,
            "x must match a pattern, so at most 1024",
            "at most 1024 characters",
        ),
        (
            {"type": "string", "minLength": 2, "maxLength": 3},
            "a",
            "x must have at least 2 characters; it has 1",
            "write a string from 2 to 3 characters",
        ),
        (
            {"type": "array", "maxItems": 1},
            [1, 2],
            "x must have at most 1 items",
            "at most 1 items",
        ),
        ({"uniqueItems": True}, [1, 1], "x contains an item twice", ""),
        ({"not": {"const": 1}}, 1, "x must not be 1", ""),
        ({"anyOf": [{"type": "string"}, {"minimum": 5}]}, 1, "fits none of the", "one of them"),
        ({"oneOf": [True, {"minimum": 0}]}, 1, "fits more than one", "exactly one"),
        (False, 1, "x is not allowed here", "leave it out"),
        ({"contains": {"const": 1}}, [2], "x does not satisfy contains", ""),
    ],
)
def test_an_error_of_a_spec_is_explained_with_a_fix(
    promise: Build, schema: Any, value: Any, message: str, fix: str
) -> None:
    (violation,) = refused(promise({"x": schema}), {"x": value})

    assert violation.rule == "schema"
    assert violation.pointer == "/spec/x"
    assert message in violation.message
    assert fix in violation.fix


def test_every_error_is_named_at_its_own_place(catalogue: Promises) -> None:
    spec = {"partition": 3, "replicas": 9, "dead_letters": {"enabled": "yes", "x/y": 1}}

    violations = refused(catalogue.offered["event-stream"], spec)

    assert [violation.pointer for violation in violations] == [
        "/spec/dead_letters/enabled",
        "/spec/dead_letters/x~1y",
        "/spec/partition",
        "/spec/replicas",
    ]
    assert "did you mean 'partitions'?" in violations[2].fix


def test_each_missing_property_is_named_with_what_it_may_be(promise: Build) -> None:
    spec = {
        "type": "object",
        "additionalProperties": False,
        "required": ["a", "b"],
        "$defs": {"size": {"type": "integer", "minimum": 1}},
        "properties": {"a": {"type": "string"}, "b": {"$ref": "#/$defs/size"}},
    }

    violations = refused(promise(spec=spec), {})

    assert [(v.pointer, v.message, v.fix) for v in violations] == [
        ("/spec/a", "a is missing", "add it: a string"),
        ("/spec/b", "b is missing", "add it: a whole number of at least 1"),
    ]


def test_unevaluated_properties_are_named_one_by_one(promise: Build) -> None:
    spec = {
        "type": "object",
        "unevaluatedProperties": False,
        "allOf": [{"properties": {"alpha": {"type": "integer"}}}],
    }

    violations = refused(promise(spec=spec), {"alpha": 1, "alpah": 2, "z": 3})

    assert [violation.pointer for violation in violations] == ["/spec/alpah", "/spec/z"]
    assert "did you mean 'alpha'?" in violations[0].fix


def test_properties_with_a_pattern_or_a_schema_for_the_rest_are_checked(promise: Build) -> None:
    spec = {
        "type": "object",
        "additionalProperties": False,
        "patternProperties": {"^n_": {"type": "integer"}},
        "properties": {"labels": {"additionalProperties": {"type": "string"}}},
    }

    violations = refused(promise(spec=spec), {"n_1": 1, "n_2": "x", "m": 1, "labels": {"a": 1}})

    assert [v.pointer for v in violations] == ["/spec/labels/a", "/spec/m", "/spec/n_2"]


def test_a_name_that_is_too_long_for_a_pattern_does_not_slip_past_it(promise: Build) -> None:
    spec = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "labels": {
                "type": "object",
                "additionalProperties": True,
                "patternProperties": {"^n": {"type": "integer"}},
            }
        },
    }

    (violation,) = refused(promise(spec=spec), {"labels": {"n" * 1025: "x"}})

    assert "at most 1024 characters; it has 1025" in violation.message


PATTERNS = st.sampled_from(["^a", "b$", "[ab]", "c"])
LEAVES = st.sampled_from([True, {"type": "integer"}, {"type": "string"}])
UNEVALUATED = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from("abc"), LEAVES, max_size=2),
            "patternProperties": st.dictionaries(PATTERNS, LEAVES, max_size=2),
            "additionalProperties": LEAVES,
            "required": st.lists(st.sampled_from("abc"), max_size=1),
            "$ref": st.just("#/$defs/shared"),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from("abc"), LEAVES, max_size=2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "oneOf": st.lists(inner, min_size=1, max_size=2),
            "if": inner,
            "then": inner,
            "else": inner,
            "dependentSchemas": st.dictionaries(st.sampled_from("abc"), inner, max_size=1),
        },
    ),
    max_leaves=4,
)


@given(
    schema=UNEVALUATED,
    unevaluated=st.just(value=False) | LEAVES,
    spec=st.dictionaries(st.sampled_from(["a", "ab", "b", "c", "d"]), st.integers() | st.text()),
)
def test_unevaluated_properties_are_those_of_json_schema(
    schema: dict[str, Any], unevaluated: Any, spec: dict[str, Any]
) -> None:
    whole = {
        **schema,
        "unevaluatedProperties": unevaluated,
        "$defs": {"shared": {"properties": {"a": True}, "patternProperties": {"^b": True}}},
    }

    assert validator_for(whole).is_valid(spec) is Draft202012Validator(whole).is_valid(spec)


@pytest.mark.parametrize(
    ("divisor", "value", "fits"),
    [
        (0.1, 0.3, True),
        (0.01, 1.13, True),
        (0.01, 4.35, True),
        (0.1, 0.35, False),
        (0.1, 7, True),
        (0.0001, 0.0075, True),
        (1e-8, 12391239123, True),
        (0.123456789, 1e308, False),
        (3, 9.0, True),
        (2.0, 7, False),
        (2.5, -7.5, True),
    ],
)
def test_multiples_are_those_of_the_numbers_as_they_are_written(
    divisor: float, value: float, *, fits: bool
) -> None:
    assert validator_for({"multipleOf": divisor}).is_valid(value) is fits


@given(st.decimals("0.001", "100", places=3), st.integers(-10_000, 10_000))
def test_every_multiple_of_a_decimal_fits(divisor: Decimal, factor: int) -> None:
    validator = validator_for({"multipleOf": float(divisor)})
    assert validator.is_valid(float(divisor * factor))
    assert not validator.is_valid(float(divisor * factor + divisor / 2))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, 3.0),
        ({"type": "integer"}, 1e3),
        ({"const": 3}, 3.0),
        ({"enum": [1, 2]}, 2.0),
        ({"items": {"const": {"a": [1]}}}, [{"a": [1.0]}]),
        ({"type": "integer", "minimum": 1, "maximum": 9.0}, 9),
    ],
)
def test_a_number_is_the_same_however_it_is_written(schema: dict[str, Any], value: Any) -> None:
    assert validator_for(schema).is_valid(value)


@pytest.mark.parametrize(
    ("schema", "value"),
    [({"type": "integer"}, True), ({"const": 1}, True), ({"enum": [0]}, False)],
)
def test_true_and_false_are_not_numbers(schema: dict[str, Any], value: Any) -> None:
    assert not validator_for(schema).is_valid(value)


@pytest.mark.parametrize("keyword", ["additionalProperties", "unevaluatedProperties"])
def test_a_pattern_that_takes_others_exponential_time_is_searched_for_in_linear_time(
    promise: Build, keyword: str
) -> None:
    hard = "a" * 1000 + "!"
    spec = {
        "type": "object",
        keyword: False,
        "properties": {"x": {"pattern": "^(a+)+$"}},
        "patternProperties": {"^(a|a)*$": True},
    }

    pointers = [
        violation.pointer for violation in refused(promise(spec=spec), {"x": hard, hard: 1})
    ]

    assert pointers == [f"/spec/{hard}", "/spec/x"]


def test_a_refusal_lists_only_so_many_things(promise: Build) -> None:
    spec = {f"wrong_{index}": 1 for index in range(MAX_VIOLATIONS + 7)}

    violations = refused(promise({}), spec)

    assert len(violations) == MAX_VIOLATIONS + 1
    assert violations[-1].message == "the spec has 7 more errors"


def deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (deep(MAX_DEPTH), "nested"),
        (deep(100_000), "nested"),
        (float("nan"), "infinity"),
        (float("inf"), "infinity"),
        (2**53, "2^53"),
        (-(2**53), "2^53"),
        ("\ud800", "surrogate"),
        ({"\ud800": 1}, "surrogate"),
    ],
)
def test_what_no_record_could_carry_is_refused_under_any_schema(
    promise: Build, value: Any, message: str
) -> None:
    violations = promise({"x": True}).newest.violations({"x": value})

    assert message in violations[0].message
    assert violations[0].pointer.startswith("/spec/x")
    assert violations[0].model_dump_json()


def test_the_same_spec_gives_the_same_violations_in_the_same_order(promise: Build) -> None:
    a, b = {"x": 1, "y": 2}, {"y": 2, "x": 1}

    assert refused(promise({}), a) == refused(promise({}), b)
