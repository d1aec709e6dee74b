"""Promise files are compared with what the adapters of their steps declare."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from busbar.backends.declaration import AdapterNotLoadable, Declaration, InstalledDeclarations
from busbar.policy.adapters import load_promises
from busbar.policy.domain.json_types import Typed, mismatch
from busbar.policy.domain.promise import PromiseFile
from busbar.policy.domain.promise_checks import problems_in
from busbar.policy.domain.validator import validator_for

File = Callable[..., PromiseFile]
CONTRACTS = Path(__file__).parents[3] / "contracts"


class BoxInputs(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(pattern="^[a-z.-]+$")]
    size: Annotated[int, Field(ge=1, le=10)]
    tags: list[str] = []
    limits: dict[str, int] | None = None


BOX = Declaration(inputs=BoxInputs, outputs={"name": "string", "size": "integer", "all": "object"})
ADAPTERS = {"box": BOX, "loose": Declaration()}
SIZE = {"type": "integer", "minimum": 1, "maximum": 10, "default": 2}
GOOD = {"name": "${resource.name}", "size": "${spec.size}"}


def said(file: PromiseFile) -> list[str]:
    return [
        f"{'.'.join(map(str, found.place[2:]))}: {found.problem} ({found.fix})"
        for found in problems_in(file, ADAPTERS)
    ]


def plan(inputs: dict[str, Any], adapter: str = "box") -> list[dict[str, Any]]:
    return [{"name": "thing", "adapter": adapter, "inputs": inputs}]


def test_the_promises_that_busbar_ships_fit_their_adapters() -> None:
    promises = load_promises([CONTRACTS / "promises"], InstalledDeclarations())

    assert promises.broken == {}
    assert sorted(promises.offered) == ["event-stream", "postgres-database"]


def test_a_plan_that_fits_is_accepted(promise_file: File) -> None:
    outputs = {"box": "${steps.thing.name}", "text": "${steps.thing.name}-${steps.thing.size}"}

    assert said(promise_file({"size": SIZE}, plan=plan(GOOD), outputs=outputs)) == []


@pytest.mark.parametrize(
    ("inputs", "where", "problem"),
    [
        ({**GOOD, "sise": 1}, "inputs.sise", "has no input 'sise' (did you mean 'size'?"),
        ({"name": "a"}, "inputs", "the input 'size' of box is missing"),
        ({**GOOD, "size": 11}, "inputs.size", "less than or equal to 10"),
        ({**GOOD, "size": "2"}, "inputs.size", "must be a whole number"),
        ({**GOOD, "size": True}, "inputs.size", "must be a whole number"),
        ({**GOOD, "size": "${spec.text}"}, "inputs.size", "may be text, and has to be a whole"),
        ({**GOOD, "size": "${spec.free}"}, "inputs.size", "may be anything"),
        ({**GOOD, "size": "${spec.real}"}, "inputs.size", "may be a number, and has to be"),
        ({**GOOD, "size": "${spec.big}"}, "inputs.size", "may be 99, and can be at most 10"),
        ({**GOOD, "size": "${spec.open}"}, "inputs.size", "has no minimum"),
        ({**GOOD, "size": "${spec.listed}"}, "inputs.size", "may be 20, and can be at most 10"),
        ({**GOOD, "size": "${spec.size}0"}, "inputs.size", "takes a whole number here, not text"),
        ({**GOOD, "name": "${spec.size}"}, "inputs.name", "may be a whole number, and has to be"),
        ({**GOOD, "name": "a-${spec.list}"}, "inputs.name", "a list, which cannot be part of a"),
        ({**GOOD, "tags": "${spec.text}"}, "inputs.tags", "may be text, and has to be a list"),
        ({**GOOD, "tags": ["${spec.size}"]}, "inputs.tags.0", "and has to be text"),
        ({**GOOD, "limits": {"a": "${spec.text}"}}, "inputs.limits.a", "has to be a whole"),
        ({**GOOD, "name": "NO"}, "inputs.name", "match"),
    ],
)
def test_inputs_that_the_adapter_would_refuse_are_found_when_the_file_loads(
    promise_file: File, inputs: dict[str, Any], where: str, problem: str
) -> None:
    properties = {
        "size": SIZE,
        "text": {"type": "string", "default": "a"},
        "free": {"default": 1},
        "real": {"type": "number", "default": 1.5},
        "big": {"type": "integer", "minimum": 1, "maximum": 99, "default": 1},
        "open": {"type": "integer", "default": 1},
        "listed": {"enum": [1, 20], "default": 1},
        "list": {"type": "array", "default": []},
    }

    (found,) = said(promise_file(properties, plan=plan(inputs)))

    assert found.startswith(f"plan.0.{where}: ")
    assert problem in found


def test_what_the_adapter_refuses_for_an_example_is_found(promise_file: File) -> None:
    file = promise_file(
        {"size": SIZE, "title": {"type": "string", "default": "fine"}},
        plan=plan({**GOOD, "name": "${spec.title}"}),
        examples=[{"title": "Shouted", "spec": {"title": "LOUD"}}],
    )

    (found,) = said(file)
    assert found.startswith("plan.0.inputs.name: the input name must match")
    assert "with the example 'Shouted'" in found


@pytest.mark.parametrize(
    ("parts", "where", "problem"),
    [
        ({"plan": plan({}, "bocks")}, "plan.0.adapter", "no adapter 'bocks' is installed"),
        ({"outputs": {"x": "${steps.thing.nmae}"}}, "outputs.x", "did you mean 'name'?"),
        ({"outputs": {"x": "a ${steps.thing.all}"}}, "outputs.x", "an object, which cannot be"),
        (
            {"plan": [*plan(GOOD), {**plan(GOOD)[0], "name": "b", "when": "${steps.thing.on}"}]},
            "plan.1.when",
            "no output 'on'",
        ),
        (
            {
                "plan": [
                    *plan(GOOD),
                    {"name": "b", "adapter": "loose", "inputs": {"a": ["${steps.thing.no}"]}},
                ]
            },
            "plan.1.inputs.a.0",
            "no output 'no'",
        ),
        (
            {
                "plan": [
                    *plan(GOOD),
                    {**plan({**GOOD, "size": "${steps.thing.name}"})[0], "name": "b"},
                ]
            },
            "plan.1.inputs.size",
            "may be text",
        ),
    ],
)
def test_adapters_and_outputs_that_do_not_exist_are_found_when_the_file_loads(
    promise_file: File, parts: dict[str, Any], where: str, problem: str
) -> None:
    (found,) = said(promise_file({"size": SIZE}, **{"plan": plan(GOOD), **parts}))

    assert found.startswith(f"{where}: ")
    assert problem in found


def test_an_adapter_that_declares_nothing_takes_any_inputs(promise_file: File) -> None:
    steps = [*plan({"any": 1}, "loose"), {"name": "b", "adapter": "loose", "when": "${spec.on}"}]
    file = promise_file(
        {"on": {"default": True}}, plan=steps, outputs={"x": "${steps.thing.whatever}"}
    )

    assert said(file) == []


def test_an_adapter_that_cannot_be_imported_is_a_problem_of_the_file(promise_file: File) -> None:
    class Broken(dict[str, Declaration]):
        def __getitem__(self, name: str) -> Declaration:
            raise AdapterNotLoadable(f"{name} cannot be imported (ImportError)")

    (found,) = problems_in(promise_file(plan=plan({})), Broken(box=BOX))

    assert found.problem == "box cannot be imported (ImportError)"


def test_installed_adapters_declare_their_inputs_and_outputs() -> None:
    installed = InstalledDeclarations()

    assert {"kafka-topic", "postgres-database"} <= installed.keys()
    assert all(installed[name].inputs for name in ("kafka-topic", "postgres-database"))


SHAPES: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        *({"type": name} for name in ("boolean", "integer", "number", "string", "null", "array")),
        {"type": ["integer", "null"]},
        {"enum": [1, "a"]},
        {"const": 3},
        {"anyOf": [{"type": "integer", "minimum": 2}, {"type": "null"}]},
        {"type": "integer", "minimum": 1, "maximum": 5},
        {"type": "integer", "minimum": 3},
        {"type": "number", "maximum": 2},
    ]
)
VALUES: tuple[Any, ...] = (None, True, 0, 1, 2, 3, 4, 7, -1, 1.5, "a", "b", [])


@given(source=SHAPES, target=SHAPES.filter(lambda one: "enum" not in one and "const" not in one))
def test_what_is_found_to_fit_always_fits(source: dict[str, Any], target: dict[str, Any]) -> None:
    if mismatch(Typed(source, {}), Typed(target, {})) is not None:
        return
    accepts, takes = validator_for(source), validator_for(target)
    for value in VALUES:
        assert takes.is_valid(value) or not accepts.is_valid(value)


def doubling(levels: int, **parts: Any) -> dict[str, Any]:
    definitions = {
        f"d{n}": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                name: {"$ref": f"#/$defs/d{n + 1}", **parts} for name in ("left", "right")
            },
        }
        for n in range(levels)
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {"x": {"$ref": "#/$defs/d0"}},
        "$defs": {**definitions, f"d{levels}": {"type": "string", "default": "a"}},
    }


@pytest.mark.parametrize(
    "spec",
    [
        doubling(40),
        doubling(40, default={}),
        {
            **doubling(1),
            "$defs": {
                **{f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)},
                "d40": {"type": "string"},
            },
        },
        {
            **doubling(1),
            "$defs": {
                **{f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)},
                "d40": {"type": "object"},
            },
        },
        {
            **doubling(1),
            "$defs": {
                **{f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(3000)},
                "d3000": {"type": "string"},
            },
        },
    ],
    ids=["properties", "defaults", "anyOf", "allOf", "a long chain"],
)
def test_references_that_double_at_every_level_are_refused_quickly(
    promise_file: File, spec: dict[str, Any]
) -> None:
    began = monotonic()

    (found,) = said(promise_file(spec=spec))

    assert monotonic() - began < 20  # without the count it takes minutes, or does not end
    assert "with each $ref written out" in found


def test_references_that_are_used_often_are_accepted_within_the_bound(promise_file: File) -> None:
    assert said(promise_file(spec=doubling(5), plan=plan({}, "loose"))) == []
