from collections.abc import Callable
from typing import Any

import pytest

from busbar.policy.domain import Promise
from busbar.policy.domain.promise import PromiseFile, promise_of
from busbar.policy.domain.promise_checks import problems_in

File = Callable[..., PromiseFile]
THING = {"name": "thing", "adapter": "noop"}
OBJECT = {"type": "object", "additionalProperties": False}


def said(file: PromiseFile) -> list[str]:
    return [
        f"{'.'.join(map(str, found.place[2:]))}: {found.problem} ({found.fix})"
        for found in problems_in(file)
    ]


@pytest.mark.parametrize(
    ("spec", "where", "problem"),
    [
        ({"type": "strange"}, "spec.type", "not a valid JSON Schema"),
        ({**OBJECT, "properties": {"x": {"minimum": "1"}}}, "minimum", "not a valid JSON Schema"),
        ({"additionalProperties": False}, "spec.type", "type: object"),
        ({"type": "object"}, "spec", "additionalProperties: false"),
        ({**OBJECT, "$schema": "http://json-schema.org/draft-07/schema#"}, "$schema", "dialect"),
        ({**OBJECT, "properties": {"x": {"$ref": "https://e.org/x"}}}, "x.$ref", "does not exist"),
        ({**OBJECT, "properties": {"x": {"$ref": "#/$defs/y"}}}, "x.$ref", "does not exist"),
        ({**OBJECT, "properties": {"x": {"$dynamicRef": "#y"}}}, "x.$dynamicRef", "not supported"),
        ({**OBJECT, "properties": {"x": {"$id": "https://e.org/x"}}}, "x.$id", "at the top"),
        ({**OBJECT, "properties": {"x": {"pattern": "("}}}, "x.pattern", "not a regular"),
        ({**OBJECT, "properties": {"x": {"pattern": "(?=a)"}}}, "x.pattern", "lookaround"),
        ({**OBJECT, "patternProperties": {r"(a)\1": True}}, "patternProperties", "backreferences"),
        (
            {**OBJECT, "properties": {"x": {"type": "integer", "default": "1"}}},
            "x.default",
            "whole",
        ),
        ({**OBJECT, "properties": {"x": {"properties": {"y": {}}}}}, "properties.x", "misspelt"),
        (
            {
                **OBJECT,
                "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"items": {"$ref": "#/$defs/a"}}},
            },
            "spec.$defs.a.$ref",
            "contains itself",
        ),
    ],
)
def test_a_schema_that_cannot_be_relied_on_is_refused(
    promise_file: File, spec: dict[str, Any], where: str, problem: str
) -> None:
    found = said(promise_file(spec=spec))

    assert found
    assert where in found[0]
    assert problem in found[0]


@pytest.mark.parametrize(
    "spec",
    [
        {**OBJECT, "$schema": "https://json-schema.org/draft/2020-12/schema"},
        {"type": "object", "unevaluatedProperties": False},
        {**OBJECT, "$defs": {"a": {}}, "properties": {"x": {"$ref": "#/$defs/a", "default": 1}}},
        {**OBJECT, "properties": {"$ref": {"type": "string"}, "x": {"default": {"$ref": "y"}}}},
    ],
)
def test_a_sound_schema_is_accepted(promise_file: File, spec: dict[str, Any]) -> None:
    assert said(promise_file(spec=spec)) == []


def test_the_dialect_in_a_schema_does_not_change_how_it_is_read(
    promise: Callable[..., Promise],
) -> None:
    spec = {
        **OBJECT,
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "properties": {"x": {"type": "integer"}},
    }

    (violation,) = promise(spec=spec).newest.violations({"x": 1.5})
    assert "whole number" in violation.message


def test_two_steps_cannot_share_a_name(promise_file: File) -> None:
    (found,) = said(promise_file(plan=[THING, THING]))

    assert found.startswith("plan.1.name: two steps are named thing")


SIZED = {
    "sure": {"type": "integer", "default": 1},
    "maybe": {"type": "integer"},
    "box": {**OBJECT, "default": {}, "properties": {"on": {"default": False}, "maybe": {}}},
    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    "list": {"type": "array", "default": [1], "minItems": 1},
    "free": {"default": {}},
}


@pytest.mark.parametrize(
    ("step", "where", "problem"),
    [
        ({"inputs": {"a": ["${spec.surf}"]}}, "plan.0.inputs.a.0", "did you mean 'sure'?"),
        ({"inputs": {"a": "${spec.sure.x}"}}, "plan.0.inputs.a", "has no 'x'"),
        ({"inputs": {"a": "${spec.maybe}"}}, "plan.0.inputs.a", "if maybe is left out"),
        ({"inputs": {"a": "${spec.box.maybe}"}}, "plan.0.inputs.a", "if box.maybe is left out"),
        ({"inputs": {"a": "${spec.labels.x}"}}, "plan.0.inputs.a", "if labels is left out"),
        ({"inputs": {"a": "${spec.list.1}"}}, "plan.0.inputs.a", "if list.1 is left out"),
        ({"inputs": {"a": "${spec.free.x}"}}, "plan.0.inputs.a", "if free.x is left out"),
        ({"inputs": {"a": "${nope.x}"}}, "plan.0.inputs.a", "start with"),
        ({"inputs": {"a": "${steps.later.x}"}}, "plan.0.inputs.a", "no step 'later' comes before"),
        ({"inputs": {"a": "${steps.thing.x}"}}, "plan.0.inputs.a", "no step 'thing' comes before"),
        ({"when": "spec.sure"}, "plan.0.when", "not a condition"),
        ({"when": "${spec.surf}"}, "plan.0.when", "did you mean 'sure'?"),
        ({"when": "${steps.thingy.x}"}, "plan.0.when", "no step 'thingy'"),
        (
            {"when": "${spec.box.on}", "inputs": {"a": "${spec.box.maybe}"}},
            "plan.0.inputs.a",
            "if box.maybe is left out",
        ),
        ({"when": "!${spec.maybe}", "inputs": {"a": "${spec.maybe}"}}, "plan.0.inputs.a", "left"),
    ],
)
def test_an_expression_that_would_fail_later_is_refused_when_loaded(
    promise_file: File, step: dict[str, Any], where: str, problem: str
) -> None:
    (found,) = said(promise_file(SIZED, plan=[{**THING, **step}, {**THING, "name": "later"}]))

    assert found.startswith(where + ":")
    assert problem in found


def test_expressions_that_cannot_fail_are_accepted(promise_file: File) -> None:
    plan = [
        {**THING, "inputs": {"a": "${spec.sure}-${spec.box.on}", "b": "${spec}", "c": "$${x}"}},
        {"name": "two", "adapter": "noop", "inputs": {"a": "${steps.thing.any.thing}"}},
        {
            "name": "three",
            "adapter": "noop",
            "when": "${spec.labels.x}",
            "inputs": {"a": "${spec.labels.x}", "b": "${spec.labels}", "c": "${spec.list.0}"},
        },
        {
            "name": "four",
            "adapter": "noop",
            "when": "${spec.labels.x}",
            "inputs": {"a": "${steps.three.x}"},
        },
    ]

    assert said(promise_file(SIZED, plan=plan, outputs={"x": "${steps.three.x}"})) == []


def test_a_step_that_needs_one_that_may_be_left_out_needs_the_same_condition(
    promise_file: File,
) -> None:
    plan = [
        {**THING, "when": "${spec.maybe}"},
        {"name": "two", "adapter": "noop", "inputs": {"a": "${steps.thing.x}"}},
    ]

    (found,) = said(promise_file(SIZED, plan=plan))
    assert "give two the same when" in found


@pytest.mark.parametrize("expression", ["${steps.nope.x}", "${spec.surf}", "${spec.maybe}", "${"])
def test_an_output_that_would_fail_later_is_refused_when_loaded(
    promise_file: File, expression: str
) -> None:
    (found,) = said(promise_file(SIZED, outputs={"out": expression}))

    assert found.startswith("outputs.out:")


def test_an_example_that_the_schema_refuses_is_refused(promise_file: File) -> None:
    examples = [{"title": "good", "spec": {}}, {"title": "bad", "spec": {"sure": "x"}}]

    (found,) = said(promise_file(SIZED, examples=examples))

    assert found.startswith("examples.1.spec.sure: the example is refused: sure must be a whole")


def test_the_newest_version_is_the_one_with_the_highest_number(promise_file: File) -> None:
    file = promise_file()
    version = file.versions["v1"]
    versions = {"v9": version, "v10": version, "v2": version}
    several = promise_of(file.model_copy(update={"versions": versions}))

    assert several.newest.version == "v10"
    assert len({version.digest for version in several.versions.values()}) == 3


def test_the_digest_names_what_is_made_and_not_how_it_is_explained(
    promise: Callable[..., Promise],
) -> None:
    plain = promise(SIZED).newest
    explained = promise(SIZED, examples=[{"title": "An example", "spec": {}}]).newest
    slower = promise(SIZED, plan=[{**THING, "ready_within_seconds": 31}]).newest
    output = promise(SIZED, outputs={"x": "${spec.sure}"}).newest

    assert plain.digest == explained.digest == plain.ref.digest
    assert len({plain.digest, slower.digest, output.digest, promise({}).newest.digest}) == 4
