"""The rules for an edit of a published schema: which edits break a producer or a reader.

An intent must be accepted by every later reader: its schema may only widen. A fact is also read
by programs that know the old schema only. They ignore fields they do not know, so a fact may gain
an optional field, and nothing else may change: a new fact has to satisfy the old schema, and a
recorded fact the new one.

Two comparisons check every edit, and either may refuse it: jsoncompat decides over whole schemas,
our own walk looks at one place at a time. jsoncompat alone is not enough: 0.3.1 does not look at
``pattern``, neither it nor 0.5.0 at ``format``, and 0.5.0 misses a map whose values got a type.
"""

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from busbar.kernel.errors import ConfigurationError
from busbar.messages.base import JsonObject
from tools.contracts.differences import Difference, differences
from tools.contracts.parts import ANNOTATIONS, canonical, is_model

ADVICE = "Undo this edit and make a v2 beside it: a new message class with its own type."

Role = Literal["serializer", "deserializer"]

_MAPS = frozenset({"properties", "$defs", "patternProperties", "dependentSchemas"})
_VALUES = frozenset({"const", "enum", "required"})
_INTENT = "producers that still send the old form would be refused"
_RECORDED = "recorded facts could no longer be read"
_READERS = "readers of the old form do not expect it"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """A reason to refuse an edit, at a JSON pointer, in plain words."""

    pointer: str
    what: str

    def __str__(self) -> str:
        return f"{self.pointer or '/'}: {self.what}"


def breaking(old: JsonObject, new: JsonObject) -> list[Problem]:
    """Return every reason why ``new`` cannot replace ``old``; empty if it can.

    Both are documents that :func:`tools.contracts.generate.schema_document` makes. A draft may
    change in any way.

    Raises:
        ConfigurationError: jsoncompat is not installed.
    """
    about = _about(old)
    if about.get("status") == "draft":
        return []
    moved = _moved(old, new)
    try:
        if about.get("kind") == "intent":
            return moved + _intent(old, new)
        return moved + _fact(old, new)
    except ValueError as error:
        return [*moved, Problem("", f"the two versions cannot be compared: {error}")]


def _about(document: JsonObject) -> JsonObject:
    about = document.get("x-busbar")
    return about if isinstance(about, dict) else {}


def _moved(old: JsonObject, new: JsonObject) -> list[Problem]:
    """Find changes of the message itself, apart from its data."""
    before, after = _about(old), _about(new)
    problems = [
        Problem(f"/x-busbar/{key}", f"the {key} changed from {before.get(key)} to {after.get(key)}")
        for key in ("type", "kind", "topic")
        if before.get(key) != after.get(key)
    ]
    if after.get("status") != "published":
        problems.append(
            Problem("/x-busbar/status", "a published message cannot become a draft again")
        )
    if old.get("$id") != new.get("$id"):
        problems.append(Problem("/$id", f"the name changed from {old.get('$id')}"))
    return problems


def _intent(old: JsonObject, new: JsonObject) -> list[Problem]:
    narrowed = not _compatible(_plain(old), _plain(new), "deserializer")
    found = differences(old, new, tolerant=False)
    problems = [
        Problem(each.pointer, f"{each.what}: {_INTENT}")
        for each in found
        if each.narrows and (each.certain or narrowed)
    ]
    return problems or _unexplained(found, _INTENT if narrowed else None)


def _fact(old: JsonObject, new: JsonObject) -> list[Problem]:
    before, after = _plain(old), _plain(new)
    narrowed = not _compatible(_closed(before), _closed(after), "deserializer")
    widened = not _compatible(_opened(before), _closed(after), "serializer")
    found = differences(old, new, tolerant=True)
    problems = []
    for each in found:
        if each.narrows and (each.certain or narrowed):
            problems.append(Problem(each.pointer, f"{each.what}: {_RECORDED}"))
        elif each.widens and (each.certain or widened):
            problems.append(Problem(each.pointer, f"{each.what}: {_READERS}"))
    consequence = _RECORDED if narrowed else _READERS if widened else None
    return problems or _unexplained(found, consequence)


def _unexplained(found: list[Difference], consequence: str | None) -> list[Problem]:
    """Report what jsoncompat refuses although our own walk finds nothing wrong."""
    if consequence is None:
        return []
    seen = "; ".join(f"{each.pointer}: {each.what}" for each in found) or "nothing we can name"
    return [Problem("", f"jsoncompat finds that {consequence} (what differs: {seen})")]


def _compatible(old: Any, new: Any, role: Role) -> bool:
    """Return whether jsoncompat finds ``new`` compatible with ``old`` for this ``role``.

    Both 0.3.1 (Python 3.11) and 0.5.0 (from 3.12) have this call, and answer False where they
    cannot decide.

    Raises:
        ConfigurationError: jsoncompat is not installed.
        ValueError: jsoncompat does not support something in a schema.
    """
    if canonical(old) == canonical(new):
        return True
    try:
        module = importlib.import_module("jsoncompat")
    except ImportError as error:
        raise ConfigurationError(
            "Comparing schemas needs jsoncompat, which only developers of busbar need.",
            fix="Install it: pip install -r requirements/dev.txt.",
        ) from error
    check: Callable[[str, str, str], bool] = module.check_compat
    return check(json.dumps(old), json.dumps(new), role)


def _plain(schema: Any) -> Any:
    """Remove the descriptions from ``schema``; jsoncompat 0.3.1 also fails on a ``$id``."""
    return _mapped(schema, _without_annotations)


def _closed(schema: Any) -> Any:
    """Make every object in ``schema`` that lists its fields refuse others; maps stay maps."""
    return _mapped(
        schema, lambda each: {**each, "additionalProperties": False} if is_model(each) else each
    )


def _opened(schema: Any) -> Any:
    """Make every object in ``schema`` that lists its fields accept others."""
    return _mapped(
        schema,
        lambda each: (
            {key: value for key, value in each.items() if key != "additionalProperties"}
            if is_model(each)
            else each
        ),
    )


def _without_annotations(schema: JsonObject) -> JsonObject:
    return {
        key: value
        for key, value in schema.items()
        if key not in ANNOTATIONS and not key.startswith("x-")
    }


def _mapped(schema: Any, change: Callable[[JsonObject], JsonObject]) -> Any:
    """Apply ``change`` to ``schema`` and to every schema in it, and to nothing else."""
    if isinstance(schema, list):
        return [_mapped(each, change) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner: JsonObject = {}
    for key, value in change(schema).items():
        if key in _VALUES:
            inner[key] = value
        elif key in _MAPS:
            inner[key] = {name: _mapped(each, change) for name, each in value.items()}
        else:
            inner[key] = _mapped(value, change)
    return inner
