"""Readable errors for data that a pydantic model refuses: intents, promise and rule files."""

import types
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from busbar.kernel.json_schema import Place
from busbar.kernel.personal import MASK
from busbar.kernel.personal_marks import MARK
from busbar.kernel.resource import SLUG
from busbar.kernel.suggest import did_you_mean, listed
from busbar.messages.pattern_words import pattern_words
from busbar.messages.validation import fields_at
from busbar.policy.domain.formatting import InputProblem, dotted, show

_SLUG_RULE: Final = "lower-case letters, digits and inner hyphens, at most 63 characters"
_NOT_A_PLACE: Final = frozenset({"[key]"})
"""Parts that pydantic appends to a location if a key, not its value, is wrong."""

_KINDS: Final[Mapping[str, str]] = types.MappingProxyType(
    {
        "string_type": "a string",
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "bool_type": "true or false",
        "dict_type": "an object",
        "model_type": "an object",
        "model_attributes_type": "an object",
        "tuple_type": "a list",
        "list_type": "a list",
    }
)

_WRITE_NUMBER: Final = f"write {_KINDS['float_type']}"
_WRITE_WHOLE_NUMBER: Final = f"write {_KINDS['int_type']}"


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[InputProblem]:
    """Return the errors that ``model`` raised, each with its place and a fix."""
    details = error.errors(include_url=False)
    hidden = _personal_fields(model) | {"spec"}  # what a spec is that is none may be personal
    for detail in details:
        if detail["loc"] and detail["loc"][0] in hidden:
            detail["input"] = MASK
    places = [detail["loc"] for detail in details]
    problems = {_problem(detail, model): None for detail in details if not _follows(detail, places)}
    numbers = {problem.place for problem in problems if problem.fix == _WRITE_NUMBER}
    # Where any number fits, the branch for whole numbers of the union has failed as well.
    found = [
        problem
        for problem in problems
        if problem.fix != _WRITE_WHOLE_NUMBER or problem.place not in numbers
    ]
    return sorted(found, key=lambda problem: (dotted(problem.place), problem.problem))


def _personal_fields(model: type[BaseModel]) -> frozenset[str]:
    """Return the fields of ``model`` whose values no message may quote."""
    return frozenset(
        name
        for name, field in model.model_fields.items()
        if isinstance(field.json_schema_extra, dict) and MARK in field.json_schema_extra
    )


def _follows(detail: ErrorDetails, places: Sequence[tuple[int | str, ...]]) -> bool:
    """Return whether the error only follows from those of its items: a list of them is short."""
    place = detail["loc"]
    return detail["type"] == "too_short" and any(
        len(other) > len(place) and other[: len(place)] == place for other in places
    )


def _problem(detail: ErrorDetails, model: type[BaseModel]) -> InputProblem:
    place: Place = tuple(part for part in detail["loc"] if part not in _NOT_A_PLACE)
    place = tuple(part for part in place if not _is_union_branch(part))
    # The whole place precedes the problem wherever it is shown.
    name = dotted(place[-2:] if place and isinstance(place[-1], int) else place[-1:]) or "the data"
    context = detail.get("ctx", {})
    kind = detail["type"]
    if kind == "missing":
        return InputProblem(place, f"{name} is missing", "add it")
    if kind == "extra_forbidden":
        known = fields_at(model, place[:-1])
        fix = did_you_mean(str(place[-1]), known, otherwise=f"known are: {listed(known)}")
        return InputProblem(place, f"{name} is not a known field", fix)
    if kind == "string_pattern_mismatch":
        return _mismatch(place, name, detail["input"], str(context.get("pattern", "")))
    if kind in _KINDS:
        problem = f"{name} must be {_KINDS[kind]}; it is {show(detail['input'])}"
        return InputProblem(place, problem, f"write {_KINDS[kind]}")
    if kind == "too_short":
        least = context.get("min_length", 1)
        problem = f"{name} must have at least {least} {'item' if least == 1 else 'items'}"
        return InputProblem(place, problem, "add what is missing, or leave the field out")
    if kind == "literal_error":
        expected = str(context.get("expected", ""))
        return InputProblem(
            place, f"{name} must be {expected}; it is {show(detail['input'])}", f"write {expected}"
        )
    if kind == "value_error":
        return InputProblem(place, f"{name}: {context.get('error', detail['msg'])}", "correct it")
    problem = f"{name} cannot be {show(detail['input'])}"
    return InputProblem(place, problem, detail["msg"][:1].lower() + detail["msg"][1:])


def _mismatch(place: Place, name: str, value: Any, pattern: str) -> InputProblem:
    if pattern == f"^{SLUG}$":
        fix = f"use {_SLUG_RULE}"
    elif pattern.startswith(f"^{SLUG}(/"):
        fix = f"write team/environment/promise/name, each of {_SLUG_RULE}"
    else:
        fix = f"it must {pattern_words(pattern)}"
    return InputProblem(place, f"{name} cannot be {show(value)}", fix)


def _is_union_branch(part: str | int) -> bool:
    """Return whether ``part`` of a location is the name of a type, not of a field."""
    return part in {"int", "float", "str", "bool"}
