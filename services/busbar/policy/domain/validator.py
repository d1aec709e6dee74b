"""The validator of specs: jsonschema's Draft 2020-12, with every error at the place it is about.

What is set right: a missing or unknown property is an error of its own, at that property; a
pattern is read as ECMA-262 (see ``patterns``); a whole number is one that is written as such.
"""

from collections.abc import Iterator
from typing import Any

import jsonschema
from jsonschema import Draft202012Validator, TypeChecker
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from busbar.policy.domain import patterns


def _required(
    validator: Validator, required: list[str], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    del schema
    if validator.is_type(instance, "object"):
        for name in required:
            if name not in instance:
                yield ValidationError("missing", path=[name])


def _undeclared(instance: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    declared = schema.get("properties", {})
    others = schema.get("patternProperties", {})
    return [
        name
        for name in instance
        if name not in declared and not any(patterns.found(pattern, name) for pattern in others)
    ]


def _additional_properties(
    validator: Any, allowed: Any, instance: Any, schema: dict[str, Any]
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    for name in _undeclared(instance, schema):
        if allowed is False:
            yield ValidationError("unknown", path=[name])
        else:
            yield from validator.descend(instance[name], allowed, path=name)


def _properties(
    validator: Any, properties: dict[str, Any], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    del schema
    if not validator.is_type(instance, "object"):
        return
    for name, child in properties.items():
        if name in instance and child is False:  # the library would forget where it was
            yield ValidationError("forbidden", path=[name])
        elif name in instance:
            yield from validator.descend(instance[name], child, path=name, schema_path=name)


def _pattern(
    validator: Validator, pattern: str, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    del schema
    if validator.is_type(instance, "string") and not patterns.found(pattern, instance):
        yield ValidationError("no match")


def _pattern_properties(
    validator: Any, named: dict[str, Any], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    del schema
    if not validator.is_type(instance, "object"):
        return
    for pattern, child in named.items():
        for name, value in instance.items():
            if patterns.found(pattern, name):
                yield from validator.descend(value, child, path=name, schema_path=pattern)


def _is_integer(checker: TypeChecker, instance: Any) -> bool:
    del checker
    return isinstance(instance, int) and not isinstance(instance, bool)


SpecValidator = extend(  # type: ignore[no-untyped-call] # the stub has no types here
    Draft202012Validator,
    validators={
        "required": _required,
        "properties": _properties,
        "additionalProperties": _additional_properties,
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
    },
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


def validator_for(schema: dict[str, Any]) -> Validator:
    """A validator of ``schema``, which is known to be a valid schema with local references."""
    validator: Validator = SpecValidator(schema)
    return validator


def schema_errors(schema: Any) -> list[jsonschema.ValidationError]:
    """What the meta-schema of 2020-12 has against ``schema``."""
    meta = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    return sorted(meta.iter_errors(schema), key=lambda error: [str(p) for p in error.absolute_path])
