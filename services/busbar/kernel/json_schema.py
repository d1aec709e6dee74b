"""Reading of a JSON Schema as a plain tree: references, and the properties of a level.

The dialect is JSON Schema 2020-12 (https://json-schema.org/draft/2020-12) with two limits that
make it a tree: ``$ref`` is ``#/$defs/<name>``, never recursive; a level's properties are found in
``properties``, ``$ref`` and ``allOf``.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

JsonObject = dict[str, Any]
Place = tuple[str | int, ...]
"""A place in a JSON tree: keys and indexes."""

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
