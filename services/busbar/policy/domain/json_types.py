"""The JSON types and ranges that a schema allows, and whether another schema takes them all."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from busbar.kernel.json_schema import first, views
from busbar.messages.base import JsonObject
from busbar.policy.domain.formatting import show

Types = frozenset[str]

ALL: Final[Types] = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
SCALARS: Final[Types] = ALL - {"null", "array", "object"}

_WORDS: Final = {
    "null": "null",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "array": "a list",
    "object": "an object",
}


@dataclass(frozen=True, slots=True)
class Typed:
    """A schema and the document that its references are looked up in."""

    schema: Any
    root: JsonObject

    @property
    def types(self) -> Types:
        """The types of the values that the schema allows."""
        return _types(self.schema, self.root)

    def first(self, keyword: str) -> tuple[Any, ...]:
        """Return the value of ``keyword`` as a tuple of one, or an empty tuple."""
        return first(keyword, self.schema, self.root)


def type_of(value: Any) -> str:
    """Return the JSON type of ``value``; ``integer`` for a whole number."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list() | tuple():
            return "array"
        case _:
            return "object"


def in_words(types: Types) -> str:
    """Return ``a whole number or null``."""
    if types >= ALL - {"null"}:
        return "anything"
    shown = [word for name, word in _WORDS.items() if name in types]
    if "number" in types and "integer" in types:
        shown.remove(_WORDS["integer"])
    return " or ".join(shown) or "nothing"


def mismatch(source: Typed, target: Typed) -> str | None:
    """Return in words what ``source`` allows and ``target`` does not take, or None."""
    allowed, taken = source.types, target.types
    if "number" in taken:
        taken |= {"integer"}
    if not allowed <= taken:
        return f"may be {in_words(allowed)}, and has to be {in_words(taken)}"
    for branch in _branches(target):
        if branch.types & {"integer", "number"} and allowed & {"integer", "number"}:
            return _range_mismatch(source, branch)
    return None


def _range_mismatch(source: Typed, target: Typed) -> str | None:
    values = _values(source)
    low, high = target.first("minimum"), target.first("maximum")
    lowest = [min(values)] if values else [*source.first("minimum")]
    highest = [max(values)] if values else [*source.first("maximum")]
    lowest += [] if values else source.first("exclusiveMinimum")
    highest += [] if values else source.first("exclusiveMaximum")
    if low and not any(one >= low[0] for one in lowest):
        may = f"may be {show(lowest[0])}" if lowest else "has no minimum"
        return f"{may}, and has to be at least {show(low[0])}"
    if high and not any(one <= high[0] for one in highest):
        may = f"may be {show(highest[0])}" if highest else "has no maximum"
        return f"{may}, and can be at most {show(high[0])}"
    return None


def _values(typed: Typed) -> list[Any]:
    """Return the numbers that the schema lists, if it lists its values."""
    listed = [*typed.first("const")] or [*next(iter(typed.first("enum")), ())]
    return [one for one in listed if type_of(one) in {"integer", "number"}]


def _branches(typed: Typed) -> Iterator[Typed]:
    """Yield the schema, or its alternatives if it is one of several."""
    for keyword in ("anyOf", "oneOf"):
        for branches in typed.first(keyword):
            for branch in branches:
                yield from _branches(Typed(branch, typed.root))
            return
    yield typed


def branch_of(typed: Typed, kind: str) -> Typed | None:
    """Return the alternative of ``typed`` that allows values of type ``kind``."""
    return next((one for one in _branches(typed) if kind in one.types), None)


def _types(schema: Any, root: JsonObject) -> Types:
    if schema is False:
        return frozenset()
    found = ALL
    for view in views(schema, root):
        kind = view.get("type")
        if kind is not None:
            found &= _expanded([kind] if isinstance(kind, str) else kind)
        if "const" in view:
            found &= {type_of(view["const"])}
        if "enum" in view:
            found &= {type_of(one) for one in view["enum"]}
        for keyword in ("anyOf", "oneOf"):
            if keyword in view:
                found &= frozenset().union(*(_types(one, root) for one in view[keyword]))
    return found


def _expanded(kinds: list[str]) -> Types:
    return frozenset(kinds) | ({"integer"} if "number" in kinds else set())
