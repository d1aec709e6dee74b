"""Checks of the personal fields of a promise: where they are, and how its plan uses them."""

from collections.abc import Iterator
from typing import Any, Final

from busbar.kernel import json_pointer
from busbar.kernel.expressions import Path, Reference, TemplateError, parse, parse_condition
from busbar.kernel.json_schema import JsonObject, Place, first, properties_of, subschemas
from busbar.kernel.personal_marks import MARK, Mark, marks_of
from busbar.kernel.suggest import did_you_mean, listed
from busbar.policy.domain.formatting import InputProblem
from busbar.policy.domain.promise import VersionFile

_FOLLOWED: Final = frozenset(
    {"properties", "items", "additionalProperties", "unevaluatedProperties", "$defs", "allOf"}
)
_NAMED: Final = frozenset({"properties", "$defs", "allOf"})
"""Keywords that are followed by a name or an index."""


def personal_problems(version: VersionFile) -> list[InputProblem]:
    """Return what is wrong with the personal fields of ``version``, whose schema is in order."""
    marks = marks_of(version.spec)
    found = [*_mark_problems(version.spec)]
    if not marks:
        return found
    for index, step in enumerate(version.plan):
        place: Place = ("plan", index)
        found += _condition_problems(step.when, (*place, "when"), marks)
        found += _text_problems(step.inputs, (*place, "inputs"), marks)
    for name, expression in version.outputs.items():
        found += _text_problems(expression, ("outputs", name), marks)
    return found


def _mark_problems(schema: JsonObject) -> Iterator[InputProblem]:
    above: dict[Place, JsonObject] = dict(subschemas(schema))
    for place, child in above.items():
        if MARK not in child:
            continue
        at = ("spec", *place, MARK)
        if not place or not _is_followed(place):
            yield InputProblem(
                at,
                "a personal field cannot be here",
                "mark it under properties, items or additionalProperties",
            )
            continue
        if first("type", child, schema) != ("string",):
            yield InputProblem(at, "only a string can be personal", "write type: string")
        mark = child[MARK]
        if mark is not True and not isinstance(mark, str):
            yield InputProblem(at, f"{MARK} is neither true nor the name of a field", "write true")
        elif isinstance(mark, str):
            yield from _subject_problems(mark, at, above.get(place[:-2], {}), schema)


def _subject_problems(
    name: str, at: Place, beside: JsonObject, root: JsonObject
) -> Iterator[InputProblem]:
    known = properties_of(beside, root)
    if name not in known:
        otherwise = f"beside it are: {listed(list(known))}"
        yield InputProblem(
            at,
            f"there is no field {name} beside it, to name the person",
            did_you_mean(name, known, otherwise=otherwise),
        )
    elif first(MARK, known[name], root) != (True,):
        yield InputProblem(
            at, f"{name} names a person, so it is personal itself", f"write {MARK}: true there"
        )


def _is_followed(place: Place) -> bool:
    """Return whether the search for personal fields follows ``place``."""
    parts = list(place)
    while parts:
        keyword = parts.pop(0)
        if keyword not in _FOLLOWED:
            return False
        if keyword in _NAMED:
            parts.pop(0)
    return True


def _condition_problems(
    when: str | None, place: Place, marks: tuple[Mark, ...]
) -> Iterator[InputProblem]:
    try:
        path = parse_condition(when).path if when is not None else ()
    except TemplateError:  # reported as a problem of its own
        return
    if path and _is_personal(path, marks):
        yield InputProblem(
            place,
            f"{'.'.join(path)} is personal, and no condition can read it",
            "use another field for the condition",
        )


def _text_problems(tree: Any, place: Place, marks: tuple[Mark, ...]) -> Iterator[InputProblem]:
    try:
        found = parse(tree).references
    except TemplateError:  # reported as a problem of its own
        return
    for reference in found:
        written = "${" + ".".join(reference.path) + "}"
        if _is_personal(reference.path, marks) and _text(tree, reference) != written:
            yield InputProblem(
                (*place, *json_pointer.split(reference.pointer)),
                f"{written} is personal, and cannot be part of a longer text",
                "use it as the whole value",
            )


def _text(tree: Any, reference: Reference) -> Any:
    for part in json_pointer.split(reference.pointer):
        tree = tree[int(part)] if isinstance(tree, list) else tree[part]
    return tree


def _is_personal(path: Path, marks: tuple[Mark, ...]) -> bool:
    if path[0] != "spec":
        return False
    inside = path[1:]
    return any(
        len(mark.path) == len(inside)
        and all(part in {None, name} for part, name in zip(mark.path, inside, strict=True))
        for mark in marks
    )
