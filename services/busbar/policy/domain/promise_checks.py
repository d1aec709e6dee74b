"""Checks of a promise file: its schemas, plans, outputs and examples."""

from collections.abc import Iterator
from typing import Any

from busbar.kernel import json_pointer
from busbar.kernel.expressions import (
    Path,
    Reference,
    TemplateError,
    parse,
    parse_condition,
)
from busbar.kernel.json_schema import REF_PREFIX, Place, ref_target, subschemas
from busbar.kernel.suggest import did_you_mean, listed
from busbar.kernel.text import truncate
from busbar.messages.base import JsonObject
from busbar.policy.domain import patterns, spec_errors
from busbar.policy.domain.expansion import problem_with_size, recursive_definitions
from busbar.policy.domain.formatting import InputProblem, dotted
from busbar.policy.domain.personal_checks import personal_problems
from busbar.policy.domain.promise import PromiseFile, StepFile, VersionFile
from busbar.policy.domain.schema import reach, with_defaults
from busbar.policy.domain.step_checks import Declared, problems_with_adapters
from busbar.policy.domain.validator import schema_errors, validator_for

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def problems_in(file: PromiseFile, adapters: Declared | None = None) -> list[InputProblem]:
    """Return everything that is wrong with ``file``.

    Without ``adapters``, the plan is not compared with what they declare.
    """
    return [
        InputProblem(("versions", name, *problem.place), problem.problem, problem.fix)
        for name, version in file.versions.items()
        for problem in _problems_in_version(version, adapters)
    ]


def _problems_in_version(version: VersionFile, adapters: Declared | None) -> list[InputProblem]:
    # A plan can only be checked against a valid schema, and adapters with a plan that is in order.
    for check in (_meta_problems, _form_problems, _size_problems):
        if found := _at("spec", check(version.spec)):
            return found
    found = [
        *_at("spec", _default_problems(version.spec)),
        *_at("plan", _plan_problems(version)),
        *_at("outputs", _output_problems(version)),
        *_at("examples", _example_problems(version)),
        *personal_problems(version),
    ]
    if found or adapters is None:
        return found
    return list(problems_with_adapters(version, adapters))


def _at(name: str, problems: Iterator[InputProblem]) -> list[InputProblem]:
    return [InputProblem((name, *found.place), found.problem, found.fix) for found in problems]


def _meta_problems(schema: JsonObject) -> Iterator[InputProblem]:
    if schema.get("$schema", _DIALECT) != _DIALECT:
        yield InputProblem(("$schema",), "the schema is in another dialect", f"write {_DIALECT}")
    for error in schema_errors(schema):
        place = tuple(error.absolute_path)
        yield InputProblem(
            place, f"not a valid JSON Schema: {truncate(error.message)}", "see JSON Schema 2020-12"
        )


def _form_problems(schema: JsonObject) -> Iterator[InputProblem]:
    if schema.get("type") != "object":
        yield InputProblem(
            ("type",), "the schema of a spec is of type object", "write type: object"
        )
    recursive = recursive_definitions(schema)
    for place, child in subschemas(schema):
        yield from _open_problems(place, child)
        yield from _ref_problems(place, child, schema, recursive)
        for at, pattern in _patterns_of(child):
            if refused := patterns.problem_with(pattern):
                yield InputProblem((*place, *at), refused.problem, refused.fix)


def _size_problems(schema: JsonObject) -> Iterator[InputProblem]:
    if problem := problem_with_size(schema):
        yield InputProblem((), problem, "divide it into several promises, or refer to less")


def _open_problems(place: Place, schema: JsonObject) -> Iterator[InputProblem]:
    """Report a level that would accept a misspelt property."""
    closed = ("additionalProperties", "unevaluatedProperties")
    if not place and not any(schema.get(keyword) is False for keyword in closed):
        yield InputProblem(
            place, "a misspelt property would be accepted", "write additionalProperties: false"
        )
    nested = len(place) > 1 and place[-2] == "properties"
    if nested and "properties" in schema and not any(keyword in schema for keyword in closed):
        yield InputProblem(
            place,
            f"a misspelt property of {dotted(place[-1:])} would be accepted",
            "write additionalProperties: false, or true if that is intended",
        )


def _ref_problems(
    place: Place, schema: JsonObject, root: JsonObject, recursive: frozenset[str]
) -> Iterator[InputProblem]:
    for keyword in ("$dynamicRef", "$recursiveRef"):
        if keyword in schema:
            yield InputProblem((*place, keyword), f"{keyword} is not supported", "use a local $ref")
    for keyword in ("$id", "$schema"):
        if place and keyword in schema:
            yield InputProblem(
                (*place, keyword),
                f"{keyword} is only allowed at the top of the schema",
                "leave it out",
            )
    if "$ref" not in schema:
        return
    if ref_target(schema, root) is None:
        yield InputProblem(
            (*place, "$ref"),
            f"{schema['$ref']!r} does not exist",
            f"write {REF_PREFIX}<name>, a name in the $defs at the top of this schema",
        )
    elif schema["$ref"].removeprefix(REF_PREFIX) in recursive:
        yield InputProblem((*place, "$ref"), f"{schema['$ref']!r} contains itself", "write it out")


def _patterns_of(schema: JsonObject) -> Iterator[tuple[Place, str]]:
    if "pattern" in schema:
        yield ("pattern",), schema["pattern"]
    for pattern in schema.get("patternProperties", {}):
        yield ("patternProperties", pattern), pattern


def _default_problems(schema: JsonObject) -> Iterator[InputProblem]:
    for place, child in subschemas(schema):
        if "default" not in child:
            continue
        # $defs stay reachable, so that a $ref beside or inside the default's schema resolves.
        alone = {key: child[key] for key in child if key not in {"$id", "$schema"}}
        alone["$defs"] = schema.get("$defs", {})
        wrapped = {"properties": {"default": alone}, "$defs": alone["$defs"]}
        value = {"default": with_defaults(child, schema, child["default"])}
        for violation in spec_errors.violations(validator_for(wrapped), value):
            yield InputProblem((*place, "default"), violation.message, violation.fix)


def _plan_problems(version: VersionFile) -> Iterator[InputProblem]:
    earlier: dict[str, StepFile] = {}
    for index, step in enumerate(version.plan):
        if step.name in earlier:
            yield InputProblem(
                (index, "name"), f"two steps are named {step.name}", "give each its own name"
            )
        yield from _when_problems(version, step, (index, "when"), earlier)
        yield from _input_problems(version, step, (index, "inputs"), earlier)
        earlier[step.name] = step


def _when_problems(
    version: VersionFile, step: StepFile, place: Place, earlier: dict[str, StepFile]
) -> Iterator[InputProblem]:
    if step.when is None:
        return
    try:
        path = parse_condition(step.when).path
    except TemplateError as error:
        yield InputProblem(place, error.problem, error.fix)
        return
    # The value in a condition may be absent, so the condition guards itself.
    yield from _spec_problems(version.spec, path, place, frozenset({path[1:]}))
    yield from _step_problems(path, place, earlier)


def _input_problems(
    version: VersionFile, step: StepFile, place: Place, earlier: dict[str, StepFile]
) -> Iterator[InputProblem]:
    guards = _guards(step.when)
    for reference in _references(step.inputs, place):
        if isinstance(reference, InputProblem):
            yield reference
            continue
        at = (*place, *_parts(reference.pointer))
        yield from _spec_problems(version.spec, reference.path, at, guards)
        yield from _step_problems(reference.path, at, earlier)
        source = earlier.get(reference.path[1]) if reference.path[0] == "steps" else None
        if source and source.when is not None and source.when != step.when:
            yield InputProblem(
                at,
                f"the step {source.name} may be left out, but {step.name} needs it",
                f"give {step.name} the same when",
            )


def _output_problems(version: VersionFile) -> Iterator[InputProblem]:
    steps = {step.name: step for step in version.plan}
    for name, expression in version.outputs.items():
        for reference in _references(expression, (name,)):
            if isinstance(reference, InputProblem):
                yield reference
                continue
            yield from _spec_problems(version.spec, reference.path, (name,), frozenset())
            yield from _step_problems(reference.path, (name,), steps)


def _example_problems(version: VersionFile) -> Iterator[InputProblem]:
    validator = validator_for(version.spec)
    for index, example in enumerate(version.examples):
        filled = with_defaults(version.spec, version.spec, example.spec)
        for violation in spec_errors.violations(validator, filled):
            at = (index, *_parts(violation.pointer))
            yield InputProblem(at, f"the example is refused: {violation.message}", violation.fix)


def _references(tree: Any, place: Place) -> Iterator[Reference | InputProblem]:
    try:
        yield from parse(tree).references
    except TemplateError as error:
        yield InputProblem((*place, *_parts(error.pointer)), error.problem, error.fix)


def _guards(when: str | None) -> frozenset[Path]:
    """Return the paths into the spec that are present because of the step's ``when``."""
    try:
        condition = parse_condition(when or "")
    except TemplateError:  # absent, or reported as a problem of its own
        return frozenset()
    guards = condition.path[0] == "spec" and not condition.negated
    return frozenset({condition.path[1:]}) if guards else frozenset()


def _spec_problems(
    schema: JsonObject, path: Path, place: Place, guards: frozenset[Path]
) -> Iterator[InputProblem]:
    if path[0] != "spec":
        return
    found = reach(schema, path[1:], guards)
    written = "${" + ".".join(path) + "}"
    name = path[found.stop] if found.stop else ""
    if found.unknown:
        fix = did_you_mean(name, found.known, otherwise=f"known are: {listed(found.known)}")
        yield InputProblem(place, f"the schema has no {name!r}, which {written} refers to", fix)
    elif found.optional:
        yield InputProblem(
            place,
            f"{written} has no value if {dotted(path[1 : found.stop + 1])} is left out",
            f"give {name!r} a default, require it, or guard the step with when",
        )


def _step_problems(path: Path, place: Place, known: dict[str, StepFile]) -> Iterator[InputProblem]:
    if path[0] != "steps" or path[1] in known:
        return
    otherwise = f"steps that come before: {listed(list(known))}"
    fix = did_you_mean(path[1], known, otherwise=otherwise)
    yield InputProblem(place, f"no step {path[1]!r} comes before this", fix)


def _parts(pointer: str) -> Place:
    return tuple(
        int(part) if part.isdecimal() and len(part) < len("100000") else part
        for part in json_pointer.split(pointer)
    )
