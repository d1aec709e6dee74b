"""Reading of a promise's JSON Schema: references, defaults, and the schema at a path.

The dialect is JSON Schema 2020-12 (https://json-schema.org/draft/2020-12) with three limits that
make it a plain tree: ``$ref`` is ``#/$defs/<name>``, never recursive; a level's properties are
found in ``properties``, ``$ref`` and ``allOf``; nothing asserts ``format``.
"""

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from busbar.kernel.expressions import Path
from busbar.messages.base import JsonObject
from busbar.policy.domain.formatting import Place

REF_PREFIX: Final = "#/$defs/"
_REF = re.compile(r"#/\$defs/([A-Za-z0-9_.-]+)")  # no characters that a URI or a pointer escapes

_SCHEMAS_BY_NAME: Final = ("properties", "patternProperties", "$defs", "dependentSchemas")
_SCHEMA_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
_SCHEMAS: Final = (
    "additionalProperties",
    "unevaluatedProperties",
    "items",
    "unevaluatedItems",
    "contains",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "contentSchema",
)


def children_of(schema: JsonObject) -> Iterator[tuple[Place, Any]]:
    """Yield every schema directly inside ``schema``, with its place."""
    for keyword in _SCHEMAS_BY_NAME:
        named = schema.get(keyword)
        if isinstance(named, dict):
            for name, child in named.items():
                yield (keyword, name), child
    for keyword in _SCHEMA_LISTS:
        children = schema.get(keyword)
        if isinstance(children, list):
            for index, child in enumerate(children):
                yield (keyword, index), child
    for keyword in _SCHEMAS:
        if keyword in schema:
            yield (keyword,), schema[keyword]


def subschemas(schema: Any, place: Place = ()) -> Iterator[tuple[Place, JsonObject]]:
    """Yield ``schema`` and every schema inside it that is an object, with its place."""
    if not isinstance(schema, dict):
        return
    yield place, schema
    for at, child in children_of(schema):
        yield from subschemas(child, (*place, *at))


def ref_target(schema: JsonObject, root: JsonObject) -> Any:
    """Return the target of the ``$ref`` of ``schema``, or None."""
    ref = schema.get("$ref")
    match = _REF.fullmatch(ref) if isinstance(ref, str) else None
    return root.get("$defs", {}).get(match[1]) if match else None


def views(schema: Any, root: JsonObject) -> Iterator[JsonObject]:
    """Yield ``schema`` and the schemas that apply at the same place: its ``$ref`` and ``allOf``."""
    if not isinstance(schema, dict):
        return
    yield schema
    yield from views(ref_target(schema, root), root)
    for branch in schema.get("allOf", ()):
        yield from views(branch, root)


def properties_of(schema: Any, root: JsonObject) -> dict[str, Any]:
    """Return the properties of this level; its own take precedence over referenced ones."""
    known: dict[str, Any] = {}
    for view in views(schema, root):
        for name, child in view.get("properties", {}).items():
            known.setdefault(name, child)
    return known


def flattened(schema: Any, root: JsonObject) -> Any:
    """Return ``schema`` merged over its ``$ref`` and ``allOf``, for a description."""
    if not isinstance(schema, dict):
        return schema
    return {key: view[key] for view in reversed(list(views(schema, root))) for key in view}


def first(keyword: str, schema: Any, root: JsonObject) -> tuple[Any, ...]:
    """Return the value of ``keyword`` at this level as a tuple of one, or an empty tuple."""
    return next(((view[keyword],) for view in views(schema, root) if keyword in view), ())


def with_defaults(schema: Any, root: JsonObject, value: Any) -> Any:
    """Return ``value`` with the defaults of ``schema`` filled in; ``value`` is not changed.

    An absent property gets its default, which is filled in as well. An object without a default of
    its own stays absent, whatever defaults are inside it.
    """
    if isinstance(value, dict):
        return _object_with_defaults(schema, root, value)
    items = first("items", schema, root)
    if isinstance(value, list) and items:
        return [with_defaults(items[0], root, item) for item in value]
    return value


def _object_with_defaults(schema: Any, root: JsonObject, value: JsonObject) -> JsonObject:
    properties = properties_of(schema, root)
    others = first("additionalProperties", schema, root)
    filled: JsonObject = {}
    for name, item in value.items():
        child = properties.get(name, others[0] if others else None)
        filled[name] = with_defaults(child, root, item)
    for name, child in properties.items():
        default = first("default", child, root)
        if name not in filled and default:
            filled[name] = with_defaults(child, root, deepcopy(default[0]))
    return filled


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
