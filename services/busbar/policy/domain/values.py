"""The values that a schema allows at a place, as far as the schema alone shows.

It errs on one side: a value, a member or a kind that is ruled out here is in no valid document.
What is not ruled out may be impossible all the same: ``not``, ``contains`` and dependencies between
properties are not followed.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final

from busbar.kernel.json_schema import first, properties_of, ref_target, views
from busbar.kernel.resource import SLUG
from busbar.messages.base import JsonObject
from busbar.policy.domain import patterns
from busbar.policy.domain.validator import UntriedTextError, validator_for

MAX_ALTERNATIVES: Final = 64
"""Combinations of ``anyOf``, ``oneOf`` and ``if`` that are tried; more are not followed."""

MAX_ENUMERATED: Final = 1000
"""Whole numbers between two bounds that are tried one by one."""

ALL_KINDS: Final = frozenset({"null", "boolean", "integer", "number", "string", "object", "array"})
NAME_PATTERN: Final = f"^{SLUG}$"
NUMBERS: Final = frozenset({"integer", "number"})
_UNLISTED: Final[dict[frozenset[str], tuple[Any, ...]]] = {
    frozenset({"boolean"}): (False, True),
    frozenset({"null"}): (None,),
    frozenset({"boolean", "null"}): (False, True, None),
}


@dataclass(frozen=True, slots=True)
class Interval:
    """The numbers between two bounds, each of which may itself be outside (``open``)."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def above(self, low: float, *, is_open: bool) -> "Interval":
        """Return the part from ``low`` upwards."""
        if low < self.low or (low == self.low and not is_open):
            return self
        return replace(self, low=low, low_open=is_open)

    def below(self, high: float, *, is_open: bool) -> "Interval":
        """Return the part up to ``high``."""
        if high > self.high or (high == self.high and not is_open):
            return self
        return replace(self, high=high, high_open=is_open)

    def is_empty(self) -> bool:
        """Return whether no number is inside."""
        return self.low > self.high or (self.low == self.high and (self.low_open or self.high_open))

    def whole_numbers(self) -> range | None:
        """Return the whole numbers inside; None if there is no bound on one side."""
        if math.isinf(self.low) or math.isinf(self.high):
            return None
        first, last = math.ceil(self.low), math.floor(self.high)
        first += self.low_open and first == self.low
        last -= self.high_open and last == self.high
        return range(first, last + 1)


@dataclass(frozen=True, slots=True)
class Values:
    """The values that satisfy every one of ``schemas``, whose choices have been made.

    ``root`` is the schema that their references point into.
    """

    schemas: tuple[JsonObject, ...]
    root: JsonObject

    @property
    def kinds(self) -> frozenset[str]:
        """The types of JSON Schema that a value can have; a whole number may have two."""
        kinds = ALL_KINDS
        for schema in self.schemas:
            kinds &= _kinds(schema)
        return kinds

    @property
    def are_names(self) -> bool:
        """Return whether each is a name as resources and teams have them."""
        return any(schema.get("pattern") == NAME_PATTERN for schema in self.schemas)

    @property
    def property_names(self) -> tuple[str, ...]:
        """The names of the members that the schemas list."""
        return tuple(name for schema in self.schemas for name in schema.get("properties", {}))

    def allows(self, value: Any) -> bool:
        """Return whether ``value`` may be one of them."""
        try:
            return all(_validator(schema, self.root).is_valid(value) for schema in self.schemas)
        except UntriedTextError:
            return True

    @property
    def listed(self) -> tuple[Any, ...] | None:
        """The values of ``enum`` or ``const`` that all schemas allow; None without any of them."""
        for schema in self.schemas:
            for values in ([schema["const"]] if "const" in schema else None, schema.get("enum")):
                if values is not None:
                    return tuple(value for value in values if self.allows(value))
        return None

    def interval(self) -> Interval:
        """Return the numbers that the bounds of the schemas allow."""
        found = Interval()
        for schema in self.schemas:
            for keyword, is_open in (("minimum", False), ("exclusiveMinimum", True)):
                if keyword in schema:
                    found = found.above(schema[keyword], is_open=is_open)
            for keyword, is_open in (("maximum", False), ("exclusiveMaximum", True)):
                if keyword in schema:
                    found = found.below(schema[keyword], is_open=is_open)
        return found

    def all_within(self, interval: Interval) -> Sequence[Any] | None:
        """Return every value, leaving out numbers outside of ``interval``; None if too many."""
        if self.listed is not None:
            return self.listed
        kinds = self.kinds
        if kinds in _UNLISTED:
            return [value for value in _UNLISTED[kinds] if self.allows(value)]
        numbers = interval.whole_numbers() if kinds == {"integer"} else None
        if numbers is None or len(numbers) > MAX_ENUMERATED:
            return None
        return [value for value in numbers if self.allows(value)]

    def member(self, segment: str) -> Iterator["Values"]:
        """Yield the values of the member ``segment``, by alternatives; none if there is none."""
        found: list[list[Any]] = []
        kinds = self.kinds
        if "object" in kinds:
            found += self._property(segment)
        if "array" in kinds and is_index(segment):
            found += self._item(int(segment))
        listed = self.listed
        if listed is not None:
            members = [members_of(value, segment) for value in listed]
            found = [
                [*one, {"enum": [value for each in members for value in each]}] for one in found
            ]
        for schemas in found:
            for alternative in alternatives(schemas, self.root):
                yield Values(alternative, self.root)

    def _property(self, name: str) -> list[list[Any]]:
        found: list[Any] = []
        for schema in self.schemas:
            declared = [schema["properties"][name]] if name in schema.get("properties", {}) else []
            for pattern, child in schema.get("patternProperties", {}).items():
                matched = patterns.search(pattern, name)
                declared += [True] if matched is None else [child] if matched else []
            if not declared and "additionalProperties" in schema:
                declared.append(schema["additionalProperties"])
            found += declared
            if schema.get("unevaluatedProperties") is False and not _evaluates(
                schema, self.root, name
            ):
                return []
        return [] if any(one is False for one in found) else [found]

    def _item(self, index: int) -> list[list[Any]]:
        found: list[Any] = []
        for schema in self.schemas:
            if schema.get("maxItems", math.inf) <= index:
                return []
            first = schema.get("prefixItems", [])
            if index < len(first):
                found.append(first[index])
            elif "items" in schema:
                found.append(schema["items"])
        return [] if any(one is False for one in found) else [found]


def is_index(segment: str) -> bool:
    """Return whether ``segment`` of a pointer can pick an item of a list."""
    digits = segment.isascii() and segment.isdigit() and len(segment) < len("1000000000")
    return digits and str(int(segment)) == segment


def members_of(value: Any, segment: str) -> list[Any]:
    """Return the member of ``value`` as a list of one, or an empty list."""
    if isinstance(value, dict):
        return [value[segment]] if segment in value else []
    if isinstance(value, list) and is_index(segment) and int(segment) < len(value):
        return [value[int(segment)]]
    return []


def values_at(root: JsonObject, path: Iterable[str]) -> list[Values]:
    """Return the values at ``path`` of the documents that fit ``root``; empty if there are none."""
    found = [Values(one, root) for one in alternatives([root], root)]
    for segment in path:
        found = [child for one in found for child in one.member(segment)]
        if len(found) > MAX_ALTERNATIVES:
            return [Values((), root)]
    return found


def always_present(root: JsonObject, path: Iterable[str]) -> bool:
    """Return whether every document that fits ``root``, defaults filled in, surely has ``path``."""
    schema: Any = root
    for segment in path:
        here = list(views(schema, root))
        kinds = ALL_KINDS.intersection(*(_kinds(view) for view in here))
        child = properties_of(schema, root).get(segment)
        required = any(segment in view.get("required", ()) for view in here)
        if kinds != {"object"} or not (required or first("default", child, root)):
            return False
        schema = child
    return True


def _kinds(schema: JsonObject) -> frozenset[str]:
    kinds = schema.get("type", ALL_KINDS)
    names = {kinds} if isinstance(kinds, str) else set(kinds)
    return frozenset(names | ({"integer"} if "number" in names else set()))


def alternatives(schemas: Iterable[Any], root: JsonObject) -> list[tuple[JsonObject, ...]]:
    """Return the ways to satisfy ``schemas``, each as schemas without a choice of their own."""
    found: list[tuple[JsonObject, ...]] = [()]
    for schema in schemas:
        found = _combined(found, _ways(schema, root)) or []
    return found


def _ways(schema: Any, root: JsonObject) -> list[tuple[JsonObject, ...]]:
    if not isinstance(schema, dict):
        return [] if schema is False else [()]
    choices: list[list[Any]] = [[branch] for branch in schema.get("allOf", ())]
    choices += [schema[keyword] for keyword in ("anyOf", "oneOf") if keyword in schema]
    if "$ref" in schema:
        choices.append([ref_target(schema, root)])
    if "if" in schema:
        holds = {"allOf": [schema["if"], schema.get("then", True)]}
        choices.append([holds, schema.get("else", True)])
    found: list[tuple[JsonObject, ...]] = [(schema,)]
    for branches in choices:
        found = _combined(found, [way for branch in branches for way in _ways(branch, root)])
    return found


def _combined(
    left: list[tuple[JsonObject, ...]], right: list[tuple[JsonObject, ...]]
) -> list[tuple[JsonObject, ...]]:
    if len(left) * len(right) > MAX_ALTERNATIVES:
        return left
    return [(*one, *other) for one, other in product(left, right)]


def _evaluates(schema: Any, root: JsonObject, name: str) -> bool:
    """Return whether ``schema``, or one that it applies to the same object, may know ``name``."""
    if not isinstance(schema, dict):
        return False
    if (
        name in schema.get("properties", {})
        or schema.get("additionalProperties", False) is not False
    ):
        return True
    if any(patterns.search(one, name) is not False for one in schema.get("patternProperties", {})):
        return True
    branches = [schema[keyword] for keyword in ("if", "then", "else") if keyword in schema]
    branches += [one for keyword in ("allOf", "anyOf", "oneOf") for one in schema.get(keyword, ())]
    branches += schema.get("dependentSchemas", {}).values()
    if "$ref" in schema:
        branches.append(ref_target(schema, root))
    return any(
        _evaluates(branch, root, name)
        or (isinstance(branch, dict) and branch.get("unevaluatedProperties", False) is not False)
        for branch in branches
    )


def _validator(schema: JsonObject, root: JsonObject) -> Any:
    alone = {key: schema[key] for key in schema if key not in {"$id", "$schema"}}
    return validator_for({**alone, "$defs": root.get("$defs", {})})
