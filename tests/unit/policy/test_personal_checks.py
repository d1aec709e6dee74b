"""Promise and rule files that would treat a personal value as any other are refused."""

from collections.abc import Callable
from typing import Any

import pytest

from busbar.kernel.personal_marks import MARK
from busbar.policy.domain.promise import PromiseFile
from busbar.policy.domain.promise_checks import problems_in

File = Callable[..., PromiseFile]
PERSON = {"type": "string", MARK: True}
CLOSED = {"type": "object", "additionalProperties": False}


def said(file: PromiseFile) -> list[str]:
    return [
        f"{'.'.join(map(str, found.place[2:]))}: {found.problem} ({found.fix})"
        for found in problems_in(file)
    ]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"properties": {"x": {"type": "integer", MARK: True}}}, "only a string can be personal"),
        ({"properties": {"x": {MARK: True}}}, "only a string can be personal"),
        ({"properties": {"x": {"type": "string", MARK: 1}}}, "neither true nor the name"),
        ({"properties": {"x": {"type": "string", MARK: False}}}, "neither true nor the name"),
        (
            {"properties": {"x": {"type": "string", MARK: "mial"}, "mail": PERSON}},
            "there is no field mial beside it, to name the person (did you mean 'mail'?",
        ),
        (
            {"properties": {"x": {"type": "string", MARK: "y"}, "y": {"type": "string"}}},
            "y names a person, so it is personal itself",
        ),
        ({"anyOf": [{"properties": {"x": PERSON}}]}, "cannot be here"),
        ({"patternProperties": {"^x": PERSON}}, "cannot be here"),
        ({"properties": {"x": {"type": "array", "prefixItems": [PERSON]}}}, "cannot be here"),
        ({MARK: True}, "cannot be here"),
    ],
)
def test_a_mark_that_would_not_be_followed_is_refused(
    promise_file: File, spec: dict[str, Any], problem: str
) -> None:
    found = said(promise_file(spec={**CLOSED, **spec}))
    assert len(found) == 1, found
    assert MARK in found[0]
    assert problem in found[0]


def test_marks_below_definitions_lists_and_allof_are_in_order(promise_file: File) -> None:
    person = {**CLOSED, "properties": {"mail": PERSON, "phone": {"type": "string", MARK: "mail"}}}
    spec = {
        "type": "object",
        "unevaluatedProperties": False,
        "$defs": {"person": person},
        "allOf": [{"properties": {"contact": PERSON}}],
        "properties": {"members": {"type": "array", "items": {"$ref": "#/$defs/person"}}},
    }
    assert said(promise_file(spec=spec)) == []


@pytest.mark.parametrize(
    ("version", "problem"),
    [
        (
            {"plan": [{"name": "a", "adapter": "noop", "inputs": {"x": "for ${spec.mail}"}}]},
            "plan.0.inputs.x: ${spec.mail} is personal, and cannot be part of a longer text",
        ),
        (
            {"plan": [{"name": "a", "adapter": "noop", "inputs": {"x": [{"y": "${spec.mail} "}]}}]},
            "plan.0.inputs.x.0.y: ${spec.mail} is personal",
        ),
        (
            {"outputs": {"to": "mailto:${spec.mail}"}},
            "outputs.to: ${spec.mail} is personal",
        ),
        (
            {"plan": [{"name": "a", "adapter": "noop", "when": "!${spec.mail}"}]},
            "plan.0.when: spec.mail is personal, and no condition can read it",
        ),
        (
            {"outputs": {"first": "-${spec.people.0}"}},
            "outputs.first: ${spec.people.0} is personal",
        ),
    ],
)
def test_a_plan_that_takes_a_personal_value_apart_is_refused(
    promise_file: File, version: dict[str, Any], problem: str
) -> None:
    spec = {
        **CLOSED,
        "required": ["mail", "people"],
        "properties": {
            "mail": PERSON,
            "people": {"type": "array", "items": PERSON, "minItems": 1},
        },
    }
    found = said(promise_file(spec=spec, **version))
    assert len(found) == 1, found
    assert found[0].startswith(problem)


def test_a_plan_may_pass_a_personal_value_on_as_a_whole(promise_file: File) -> None:
    found = promise_file(
        {"mail": {**PERSON, "default": ""}},
        plan=[{"name": "a", "adapter": "noop", "inputs": {"x": "${spec.mail}"}}],
        outputs={"mail": "${spec.mail}"},
    )
    assert said(found) == []
