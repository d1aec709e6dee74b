"""The validator of specs: jsonschema's Draft 2020-12, with each error at its own place.

It differs in three ways: a missing or unknown property is an error of its own, at that property;
every pattern is compiled by RE2 (see ``patterns``), in each keyword that reads one; ``multipleOf``
divides decimal numbers, not their binary neighbours.

A text that a pattern cannot be tried on raises :class:`UntriedTextError`. As an error of the
keyword, it would count as a match under ``not``, ``if`` and other keywords that invert errors.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import jsonschema
from jsonschema import Draft202012Validator, TypeChecker
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from busbar.kernel.json_schema import properties_of
from busbar.kernel.numbers import is_whole
from busbar.policy.domain import patterns


class UntriedTextError(Exception):
    """A string or a name in the data that a pattern cannot be tried on."""

    def __init__(self, text: str) -> None:
        super().__init__(f"a text of {len(text)} characters is not searched")
        self.text = text


def _search(pattern: str, text: str) -> bool:
    found = patterns.search(pattern, text)
    if found is None:
        raise UntriedTextError(text)
    return found


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
        if name not in declared and not any(_search(pattern, name) for pattern in others)
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
        if name in instance and child is False:  # the library does not report the place
            yield ValidationError("forbidden", path=[name])
        elif name in instance:
            yield from validator.descend(instance[name], child, path=name, schema_path=name)


def _pattern(
    validator: Validator, pattern: str, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    del schema
    if validator.is_type(instance, "string") and not _search(pattern, instance):
        yield ValidationError("no match")


def _pattern_properties(
    validator: Any, named: dict[str, Any], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    del schema
    if not validator.is_type(instance, "object"):
        return
    for pattern, child in named.items():
        for name, value in instance.items():
            if _search(pattern, name):
                yield from validator.descend(value, child, path=name, schema_path=pattern)


def _unevaluated_properties(
    validator: Any, unevaluated: Any, instance: Any, schema: dict[str, Any]
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    # A property that is known and does not fit has an error of its own.
    settled = _evaluated(validator, instance, schema)
    settled |= properties_of(schema, _resolved(validator, "#")).keys()
    for name in instance:
        if name in settled:
            continue
        if unevaluated is False:
            yield ValidationError("unknown", path=[name])
        else:
            yield from validator.descend(instance[name], unevaluated, path=name)


def _resolved(validator: Any, ref: str) -> Any:
    return validator._resolver.lookup(ref).contents  # noqa: SLF001 - as the library's own keywords do


def _evaluated(validator: Any, instance: dict[str, Any], schema: Any) -> set[str]:
    """Return the properties that ``schema`` evaluates; the library would use Python's ``re``."""
    if not isinstance(schema, dict):
        return set()
    names = {name for name in instance if name in schema.get("properties", {})}
    for pattern in schema.get("patternProperties", {}):
        names |= {name for name in instance if _search(pattern, name)}
    for keyword in ("additionalProperties", "unevaluatedProperties"):
        if keyword in schema:
            others = validator.evolve(schema=schema[keyword])
            names |= {name for name, value in instance.items() if others.is_valid(value)}
    for child in _applied(validator, instance, schema):
        names |= _evaluated(validator, instance, child)
    return names


def _applied(validator: Any, instance: dict[str, Any], schema: dict[str, Any]) -> Iterator[Any]:
    """Yield the schemas that hold for ``instance`` at the same place as ``schema``."""

    def holds(child: Any) -> bool:
        return bool(validator.evolve(schema=child).is_valid(instance))

    if "$ref" in schema:
        yield _resolved(validator, schema["$ref"])
    for keyword in ("allOf", "anyOf", "oneOf"):
        yield from filter(holds, schema.get(keyword, ()))
    for name, child in schema.get("dependentSchemas", {}).items():
        if name in instance:
            yield child
    if "if" in schema and holds(schema["if"]):
        yield schema["if"]
        yield schema.get("then")
    elif "if" in schema:
        yield schema.get("else")


def _is_integer(checker: TypeChecker, instance: Any) -> bool:
    del checker
    return is_whole(instance)


def _multiple_of(
    validator: Validator, divisor: float, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    """Divide the numbers as they are written: 0.3 is a multiple of 0.1."""
    del schema
    if validator.is_type(instance, "number") and _exact(instance) % _exact(divisor):
        yield ValidationError("not a multiple")


def _exact(number: float) -> Fraction:
    return Fraction(repr(number))


SpecValidator = extend(  # type: ignore[no-untyped-call] # the stub has no types here
    Draft202012Validator,
    validators={
        "required": _required,
        "properties": _properties,
        "additionalProperties": _additional_properties,
        "multipleOf": _multiple_of,
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "unevaluatedProperties": _unevaluated_properties,
    },
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


def validator_for(schema: dict[str, Any]) -> Validator:
    """Return a validator for ``schema``, a valid schema with local references only.

    Its methods raise :class:`UntriedTextError`; ``spec_errors.violations`` explains it.
    """
    validator: Validator = SpecValidator(schema)
    return validator


def schema_errors(schema: Any) -> list[jsonschema.ValidationError]:
    """Return the errors of ``schema`` by the meta-schema of 2020-12."""
    meta = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    return sorted(meta.iter_errors(schema), key=lambda error: [str(p) for p in error.absolute_path])
