"""Defaults of a promise's JSON Schema, and the schema at a path.

The dialect is JSON Schema 2020-12 with the limits of ``kernel.json_schema``; nothing asserts
``format``.
"""

from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from busbar.kernel.expressions import Path
from busbar.kernel.json_schema import first, properties_of, views
from busbar.messages.base import JsonObject


def with_defaults(schema: Any, root: JsonObject, value: Any) -> Any:
    """Return ``value`` with the defaults of ``schema`` filled in; ``value`` is not changed.

    An absent property gets its default, which is filled in as well. An object without a default of
    its own stays absent, whatever defaults are inside it.
    """
    return Defaults(schema, root).fill(value)


class Defaults:
    """The defaults of one schema, looked up once however many values are filled in."""

    def __init__(self, schema: Any, root: JsonObject) -> None:
        """Read ``schema``, whose references point into ``root``."""
        self._schema = schema
        self._root = root

    def fill(self, value: Any) -> Any:
        """Return ``value`` with the defaults filled in; see :func:`with_defaults`."""
        if isinstance(value, dict):
            filled = {
                name: self._properties.get(name, self._others).fill(item)
                for name, item in value.items()
            }
            for name, default in self._defaults.items():
                if name not in filled:
                    filled[name] = self._properties[name].fill(deepcopy(default))
            return filled
        if isinstance(value, list) and self._items is not None:
            return [self._items.fill(item) for item in value]
        return value

    @cached_property
    def _properties(self) -> dict[str, "Defaults"]:
        known = properties_of(self._schema, self._root)
        return {name: Defaults(child, self._root) for name, child in known.items()}

    @cached_property
    def _defaults(self) -> JsonObject:
        known = properties_of(self._schema, self._root).items()
        found = {name: first("default", child, self._root) for name, child in known}
        return {name: default[0] for name, default in found.items() if default}

    @cached_property
    def _others(self) -> "Defaults":
        found = first("additionalProperties", self._schema, self._root)
        return Defaults(found[0] if found else None, self._root)

    @cached_property
    def _items(self) -> "Defaults | None":
        found = first("items", self._schema, self._root)
        return Defaults(found[0], self._root) if found else None


def schema_at(root: JsonObject, path: Path) -> Any:
    """Return the schema at ``path`` (without ``spec``); True if anything is allowed there."""
    schema: Any = root
    for segment in path:
        schema = _child(schema, root, segment)
        if schema is None:
            return True
    return schema


@dataclass(frozen=True, slots=True)
class Reach:
    """The result of following a path: ``unknown``, ``optional``, or surely present.

    ``stop`` is the number of segments up to the one in question; ``known`` are the names at its
    level.
    """

    unknown: bool = False
    optional: bool = False
    stop: int = 0
    known: tuple[str, ...] = ()


def reach(root: JsonObject, path: Path, guards: frozenset[Path] = frozenset()) -> Reach:
    """Follow ``path`` (without ``spec``); everything at or above one of ``guards`` is present."""
    schema: Any = root
    for index, segment in enumerate(path):
        stop = index + 1
        guarded = any(guard[:stop] == path[:stop] for guard in guards)
        child = _child(schema, root, segment)
        if child is None:
            known = tuple(properties_of(schema, root))
            return Reach(unknown=True, stop=stop, known=known)
        if not guarded and not _always_present(schema, root, segment):
            return Reach(optional=True, stop=stop)
        schema = child
    return Reach()


def _child(schema: Any, root: JsonObject, segment: str) -> Any:
    """Return the schema of a member; True if anything is allowed, None if nothing is."""
    properties = properties_of(schema, root)
    if segment in properties:
        return properties[segment]
    if schema is True:
        return True
    for keyword in ("items",) if segment.isdigit() else ():
        if found := first(keyword, schema, root):
            return found[0]
    others = first("additionalProperties", schema, root) or first(
        "unevaluatedProperties", schema, root
    )
    if others:
        return None if others[0] is False else others[0]
    kind = first("type", schema, root)
    return True if not properties and (not kind or _may_hold(kind[0])) else None


def _may_hold(kind: Any) -> bool:
    kinds: Any = [kind] if isinstance(kind, str) else kind
    return any(name in {"object", "array"} for name in kinds)


def _always_present(schema: Any, root: JsonObject, segment: str) -> bool:
    for view in views(schema, root):
        if segment in view.get("required", ()):
            return True
        if segment.isdigit() and len(segment) <= 9 and int(segment) < view.get("minItems", 0):  # noqa: PLR2004 - as kernel.expressions reads indexes
            return True
    child = properties_of(schema, root).get(segment)
    return child is not None and bool(first("default", child, root))
