"""Functions that read one JSON Schema: references, alternatives, types, values."""

import json
from collections.abc import Iterable
from typing import Any

from busbar.kernel import json_pointer

ANNOTATIONS = frozenset(
    {
        "$schema",
        "$id",
        "$comment",
        "title",
        "description",
        "default",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
    }
)
"""Keywords that describe and do not constrain."""

Schema = dict[str, Any]

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}


def is_model(schema: Schema) -> bool:
    """Return whether ``schema`` lists its fields, as opposed to a map from any name."""
    return "properties" in schema and schema.get("additionalProperties", False) is False


def unnamed(schema: Schema) -> Any:
    """Return the rule of ``schema`` for fields it does not name: False, or a schema."""
    rest = schema.get("additionalProperties", {})
    return {} if rest is True else rest


def reference_of(schema: Any) -> str:
    """Return the reference of ``schema``; empty if it has none."""
    return str(schema.get("$ref", "")) if isinstance(schema, dict) else ""


def has_reference(schema: Any) -> bool:
    """Return whether ``schema`` has a reference at any depth."""
    return '"$ref"' in canonical(schema)


def resolved(document: Any, schema: Any) -> Schema:
    """Return the constraining keywords of ``schema``, following its reference into ``document``.

    Raises:
        ValueError: the target of the reference does not exist.
    """
    if isinstance(schema, bool):
        return {} if schema else {"not": {}}
    seen: set[str] = set()
    while (reference := reference_of(schema)) and reference not in seen:
        seen.add(reference)
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**_target(document, reference), **beside}
    return {key: value for key, value in schema.items() if key not in ANNOTATIONS}


def _target(document: Any, reference: str) -> Any:
    target = document
    for name in json_pointer.split(reference.removeprefix("#")):
        if not isinstance(target, dict) or name not in target:
            raise ValueError(f"the target of the reference {reference} does not exist")
        target = target[name]
    return target


def alternatives(document: Any, schema: Any) -> list[Schema]:
    """Return the alternatives of ``schema``: one, unless it has anyOf, oneOf or several types.

    Raises:
        ValueError: the target of a reference does not exist.
    """
    schema = resolved(document, schema)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            beside = {key: value for key, value in schema.items() if key != keyword}
            inner = [alternatives(document, branch) for branch in schema[keyword]]
            return [{**beside, **branch} for branches in inner for branch in branches]
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": one} for one in schema["type"]]
    return [schema]


def types_of(schema: Schema) -> set[str] | None:
    """Return the types that ``schema`` accepts; None for any."""
    if "type" in schema:
        return {schema["type"]}
    values = values_of(schema)
    return None if values is None else {_type_of(value) for value in values}


def _type_of(value: Any) -> str:
    return "null" if value is None else _TYPES.get(type(value), "object")


def values_of(schema: Schema) -> list[Any] | None:
    """Return the only values that ``schema`` accepts; None if it lists none."""
    return [schema["const"]] if "const" in schema else schema.get("enum")


def same_type(old: Schema, new: Schema) -> bool:
    """Return whether both accept the same types."""
    return types_of(old) == types_of(new)


def overlap(old: Schema, new: Schema) -> bool:
    """Return whether a value could be of a type that both accept."""
    before, after = types_of(old), types_of(new)
    if before is None or after is None or before & after:
        return True
    return (before | after) >= {"integer", "number"}


def type_names(schema: Schema) -> str:
    """Return the types that ``schema`` accepts, for people."""
    types = types_of(schema)
    return "anything" if types is None else " or ".join(sorted(types))


def listing(values: Iterable[Any]) -> str:
    """Return ``values`` as JSON, with commas."""
    return ", ".join(spelled(value) for value in values)


def spelled(value: Any) -> str:
    """Return ``value`` as JSON, for people."""
    return json.dumps(value, ensure_ascii=False)


def canonical(value: Any) -> str:
    """Return ``value`` in one spelling, to compare; 1 and true differ, unlike in Python."""
    return json.dumps(value, sort_keys=True)
