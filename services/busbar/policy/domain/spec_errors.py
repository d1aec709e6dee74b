"""The errors of a spec that does not fit its schema: each with its place and a fix."""

import math
from collections.abc import Callable, Iterator
from typing import Any, Final

from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator

from busbar.kernel.json_schema import Place, flattened, properties_of
from busbar.kernel.numbers import MAX_WHOLE
from busbar.kernel.suggest import did_you_mean, listed
from busbar.kernel.text import truncate
from busbar.messages.base import JsonObject
from busbar.messages.policy import Violation
from busbar.policy.domain.formatting import dotted, pointer, show
from busbar.policy.domain.patterns import MAX_TEXT
from busbar.policy.domain.validator import UntriedTextError

MAX_VIOLATIONS: Final = 100
"""Errors that a denial lists; it has to fit into one record."""

MAX_DEPTH: Final = 48
"""The deepest nesting of a spec; expressions (``kernel.expressions``) allow slightly more."""

_RULE: Final = "schema"
_KINDS: Final = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


def unrepresentable(spec: Any) -> tuple[Violation, ...]:
    """Return what no schema can allow: nesting too deep, numbers too large, invalid Unicode."""
    found: list[Violation] = []
    waiting: list[tuple[Place, Any]] = [((), spec)]
    while waiting and len(found) < MAX_VIOLATIONS:
        place, value = waiting.pop()
        found.extend(_unrepresentable_value(place, value))
        if len(place) >= MAX_DEPTH:
            continue
        if isinstance(value, dict):
            waiting.extend(((*place, key), child) for key, child in reversed(value.items()))
        elif isinstance(value, list):
            children = list(enumerate(value))
            waiting.extend(((*place, index), child) for index, child in reversed(children))
    return tuple(found)


def _unrepresentable_value(place: Place, value: Any) -> Iterator[Violation]:
    texts = [value] if isinstance(value, str) else list(value) if isinstance(value, dict) else []
    if isinstance(value, dict | list) and len(place) >= MAX_DEPTH:
        message, fix = f"the spec is nested more than {MAX_DEPTH} deep", "make it flatter"
    elif isinstance(value, float) and not math.isfinite(value):
        message, fix = "NaN and infinity are not JSON", "write a finite number"
    elif isinstance(value, int) and abs(value) > MAX_WHOLE:
        message = "the number is beyond 2^53 - 1, where other readers lose digits"
        fix = "write a smaller number, or text"
    elif any("\ud800" <= character <= "\udfff" for text in texts for character in text):
        message, fix = "the string contains half of a surrogate pair", "write valid Unicode"
    else:
        return
    safe = [part if isinstance(part, int) else _encodable(part) for part in place]
    yield Violation(rule=_RULE, message=message, fix=fix, pointer=pointer(["spec", *safe]))


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def violations(
    validator: Validator, spec: JsonObject, *, shown: JsonObject | None = None
) -> tuple[Violation, ...]:
    """Return every error of ``spec``, ordered by place; empty if it fits.

    They quote ``shown``, the same spec without its personal values; ``spec`` if left out.
    """
    if found := unrepresentable(spec):
        return found
    try:
        errors = list(validator.iter_errors(spec))
    except UntriedTextError as error:
        return _untried(error.text, spec)
    if shown is not None:
        for one in errors:
            _quote(one, spec, shown)
    explained = {_violation(one, validator): None for one in errors}
    ordered = sorted(explained, key=lambda violation: (violation.pointer, violation.message))
    if len(ordered) <= MAX_VIOLATIONS:
        return tuple(ordered)
    rest = Violation(
        rule=_RULE,
        message=f"the spec has {len(ordered) - MAX_VIOLATIONS} more errors",
        fix="correct these first, then send the intent again to see the others",
        pointer="/spec",
    )
    return (*ordered[:MAX_VIOLATIONS], rest)


_LENGTHS: Final = frozenset({"minLength", "maxLength"})
"""Keywords whose messages say how long a text is, and not what is in it."""


def _quote(error: ValidationError, spec: JsonObject, shown: JsonObject) -> None:
    """Have ``error`` quote ``shown`` where it differs from ``spec``."""
    found, masked = spec, shown
    for part in error.absolute_path:
        try:
            found, masked = found[part], masked[part]  # type: ignore[index] # as the path says
        except (KeyError, IndexError, TypeError):
            break  # the place of what is missing
    if found != masked and error.validator not in _LENGTHS:
        error.instance = masked
        error.message = "the value is personal, and not shown"
    for child in error.context or ():
        _quote(child, spec, shown)


def _untried(text: str, spec: JsonObject) -> tuple[Violation, ...]:
    """Refuse ``text``, which the schema has a pattern for, at each of its places in ``spec``."""
    # Compared by identity: an equal text elsewhere need not meet a pattern.
    places = [place for place, found in _texts((), spec) if found is text]
    return tuple(
        Violation(
            rule=_RULE,
            message=f"{truncate(dotted(place)) or 'the spec'} must match a pattern, so at most "
            f"{MAX_TEXT} characters; it has {len(text)}",
            fix=f"write at most {MAX_TEXT} characters",
            pointer=pointer(("spec", *place)),
        )
        for place in (places or [()])[:MAX_VIOLATIONS]
    )


def _texts(place: Place, value: Any) -> Iterator[tuple[Place, str]]:
    """Yield every string and every name in ``value`` with its place."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for name, child in value.items():
            yield (*place, name), name
            yield from _texts((*place, name), child)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _texts((*place, index), child)


def _root(validator: Validator) -> JsonObject:
    return validator.schema if isinstance(validator.schema, dict) else {}


def _violation(error: ValidationError, validator: Validator) -> Violation:
    place: Place = tuple(error.absolute_path)
    root = _root(validator)
    name = truncate(dotted(place)) or "the spec"
    known = list(properties_of(error.schema, root))
    match error.validator:
        case "required":
            child = properties_of(error.schema, root).get(str(place[-1]), True)
            message, fix = f"{name} is missing", f"add it: {allowed(flattened(child, root))}"
        case "additionalProperties" | "unevaluatedProperties":
            unknown = str(place[-1])
            message = f"{name} is not a known property"
            fix = did_you_mean(unknown, known, otherwise=f"known are: {listed(known)}")
        case "anyOf" | "oneOf":
            message, fix = _explain_choice(error, name, validator)
        case "properties" | None:  # the schema `false`
            message, fix = f"{name} is not allowed here", "leave it out"
        case _:
            say = _SENTENCES.get(str(error.validator), _otherwise)
            message = f"{name} {say(error)}"
            fix = f"write {allowed(error.schema)}"
    return Violation(rule=_RULE, message=message, fix=fix, pointer=pointer(("spec", *place)))


def _explain_choice(error: ValidationError, name: str, validator: Validator) -> tuple[str, str]:
    """Explain ``anyOf`` and ``oneOf``: what each of the alternatives requires."""
    if not error.context:
        return f"{name} fits more than one of the alternatives", "make it fit exactly one of them"
    needs: dict[str, None] = {}
    for child in error.context:
        needs[_violation(child, validator).message] = None
    message = f"{name} fits none of the alternatives: {'; '.join(list(needs)[:MAX_NEEDS])}"
    return message, "make it fit one of them"


MAX_NEEDS: Final = 6
"""Requirements of alternatives that a sentence names."""


def allowed(schema: Any) -> str:
    """Describe what a schema allows as a noun phrase: `a whole number from 1 to 100`."""
    if not isinstance(schema, dict):
        return "a value" if schema else "nothing"
    if "const" in schema:
        return show(schema["const"])
    if "enum" in schema:
        return "one of " + listed([show(value) for value in schema["enum"]])
    kinds = schema.get("type", [])
    names = [kinds] if isinstance(kinds, str) else kinds
    noun = " or ".join(_KINDS[name] for name in names) or "a value"
    return (
        noun
        + "".join(
            _range(schema, low, high, unit)
            for low, high, unit in _RANGES
            if low in schema or high in schema
        )
        + _details(schema)
    )


_RANGES: Final = (
    ("minimum", "maximum", ""),
    ("minLength", "maxLength", " characters"),
    ("minItems", "maxItems", " items"),
    ("minProperties", "maxProperties", " properties"),
)


def _range(schema: JsonObject, low: str, high: str, unit: str) -> str:
    if low not in schema:
        return f" of at most {show(schema[high])}{unit}"
    if high not in schema:
        return f" of at least {show(schema[low])}{unit}"
    return f" from {show(schema[low])} to {show(schema[high])}{unit}"


def _details(schema: JsonObject) -> str:
    words = {
        "exclusiveMinimum": "greater than {}",
        "exclusiveMaximum": "less than {}",
        "multipleOf": "a multiple of {}",
        "pattern": "matching {}",
    }
    return "".join(
        ", " + phrase.format(show(schema[keyword]))
        for keyword, phrase in words.items()
        if keyword in schema
    )


def _otherwise(error: ValidationError) -> str:
    return f"does not satisfy {error.validator}: {truncate(error.message)}"


_Sentence = Callable[[ValidationError], str]


def _bound(words: str) -> _Sentence:
    return lambda error: (
        f"must be {words} {show(error.validator_value)}; it is {show(error.instance)}"
    )


def _count(words: str, unit: str) -> _Sentence:
    def say(error: ValidationError) -> str:
        instance: Any = error.instance
        return f"must have {words} {show(error.validator_value)} {unit}; it has {len(instance)}"

    return say


def _must_be(error: ValidationError) -> str:
    schema = {str(error.validator): error.validator_value}
    return f"must be {allowed(schema)}; it is {show(error.instance)}"


def _must_match(error: ValidationError) -> str:
    return f"must match {show(error.validator_value)}; it is {show(error.instance)}"


_SENTENCES: Final[dict[str, _Sentence]] = {
    "type": _must_be,
    "enum": _must_be,
    "const": _must_be,
    "minimum": _bound("at least"),
    "maximum": _bound("at most"),
    "exclusiveMinimum": _bound("greater than"),
    "exclusiveMaximum": _bound("less than"),
    "multipleOf": _bound("a multiple of"),
    "minLength": _count("at least", "characters"),
    "maxLength": _count("at most", "characters"),
    "minItems": _count("at least", "items"),
    "maxItems": _count("at most", "items"),
    "minProperties": _count("at least", "properties"),
    "maxProperties": _count("at most", "properties"),
    "uniqueItems": lambda _: "contains an item twice",
    "pattern": _must_match,
    "not": lambda error: f"must not be {show(error.instance)}",
}
