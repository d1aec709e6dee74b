"""A walk over two JSON Schemas that describes each difference and its effect in plain words.

A difference *narrows* if the new schema refuses something the old one accepted, and *widens* if it
accepts something the old one refused. Some differences cannot be decided by looking at one place
(bounds, alternatives that overlap): those are not ``certain``, and jsoncompat decides.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from busbar.kernel import json_pointer
from tools.contracts import parts

BOUNDS = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
)
_COMPARED = frozenset(
    {
        "$ref",
        "$defs",
        "anyOf",
        "oneOf",
        "type",
        "enum",
        "const",
        "items",
        "properties",
        "required",
        "additionalProperties",
        *BOUNDS,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A difference at ``pointer``: RFC 6901, into the new schema or, if it is gone, the old."""

    pointer: str
    what: str
    narrows: bool = False
    widens: bool = False
    certain: bool = True


def differences(old: Any, new: Any, *, tolerant: bool) -> list[Difference]:
    """Return every difference between two schemas apart from their prose.

    ``tolerant`` compares as readers of facts do: a field they do not know is ignored, so an
    additional optional field is not a difference to them, while a missing field is.
    """
    walk = _Walk(old, new, tolerant=tolerant)
    walk.compare(old, new, "")
    return walk.found


def pointer(at: str, *tokens: str) -> str:
    """Return ``at`` and ``tokens`` as one JSON pointer."""
    return at + json_pointer.join(tokens)


class _Walk:
    """One comparison: the two documents, the pairs already visited, and the differences."""

    def __init__(
        self, old: Any, new: Any, *, tolerant: bool, been: Iterable[tuple[str, str]] = ()
    ) -> None:
        self._old = old
        self._new = new
        self._tolerant = tolerant
        self._been = set(been)
        self.found: list[Difference] = []

    def compare(self, old: Any, new: Any, at: str) -> None:
        """Compare the schemas at ``at``, alternative by alternative where there are several."""
        refs = (parts.reference_of(old), parts.reference_of(new))
        if refs[1]:
            at = refs[1].removeprefix("#")
        if all(refs):
            if refs in self._been:
                return
            self._been.add(refs)
        olds = parts.alternatives(self._old, old)
        news = parts.alternatives(self._new, new)
        if len(olds) == len(news) == 1:
            self._single(olds[0], news[0], at)
        else:
            self._many(olds, news, at)

    def _many(self, olds: list[Any], news: list[Any], at: str) -> None:
        """Pair equal alternatives, then those of one type; the rest were added or removed."""
        gone, come = list(olds), list(news)
        for alike in (self._equal, parts.same_type):
            for old in list(gone):
                partner = next((new for new in come if alike(old, new)), None)
                if partner is not None:
                    gone = [one for one in gone if one is not old]
                    come = [one for one in come if one is not partner]
                    self._single(old, partner, at)
        for old in gone:
            within = [self._between(old, new) for new in news if parts.overlap(old, new)]
            narrowed = [[each for each in found if each.narrows] for found in within]
            if all(narrowed):
                certain = all(any(each.certain for each in found) for found in narrowed)
                what = f"{parts.type_names(old)} is no longer accepted"
                self._add(at, what, narrows=True, certain=certain)
        for new in come:
            within = [self._between(old, new) for old in olds if parts.overlap(old, new)]
            widened = [[each for each in found if each.widens] for found in within]
            if all(widened):
                certain = all(any(each.certain for each in found) for found in widened)
                self._add(
                    at, f"{parts.type_names(new)} is accepted as well", widens=True, certain=certain
                )

    def _equal(self, old: Any, new: Any) -> bool:
        return not self._between(old, new)

    def _between(self, old: Any, new: Any) -> list[Difference]:
        """Compare two alternatives in isolation."""
        walk = _Walk(self._old, self._new, tolerant=self._tolerant, been=self._been)
        walk._single(old, new, "")
        return walk.found

    def _single(self, old: Any, new: Any, at: str) -> None:
        if parts.canonical(old) == parts.canonical(new) and not parts.has_reference(old):
            return
        if self._types_part(old, new, at):
            return
        self._values(old, new, at)
        for keyword in BOUNDS:
            self._bound(keyword, old, new, at)
        for keyword in sorted((old.keys() | new.keys()) - _COMPARED):
            if not keyword.startswith("x-"):
                self._keyword(keyword, old, new, at, certain=keyword != "allOf")
        if "items" in old or "items" in new:
            self.compare(old.get("items", {}), new.get("items", {}), pointer(at, "items"))
        self._object(old, new, at)

    def _types_part(self, old: Any, new: Any, at: str) -> bool:
        """Compare the types; return True if nothing else needs to be compared."""
        before, after = parts.types_of(old), parts.types_of(new)
        if before == after:
            return False
        names = f"the type changed from {parts.type_names(old)} to {parts.type_names(new)}"
        if before is None or (before == {"number"} and after == {"integer"}):
            self._add(at, names, narrows=True)
            return before is None
        if after is None or (before == {"integer"} and after == {"number"}):
            self._add(at, names, widens=True)
            return after is None
        self._add(at, names, narrows=True, widens=True)
        return True

    def _values(self, old: Any, new: Any, at: str) -> None:
        before, after = parts.values_of(old), parts.values_of(new)
        if before is None and after is None:
            return
        if before is None:
            self._add(at, f"only {parts.listing(after or [])} is accepted now", narrows=True)
            return
        if after is None:
            self._add(at, "any value is accepted now, not only those listed", widens=True)
            return
        if gone := [value for value in before if value not in after]:
            self._add(at, f"the value {parts.listing(gone)} is gone", narrows=True)
        if come := [value for value in after if value not in before]:
            self._add(at, f"the value {parts.listing(come)} is new", widens=True)

    def _keyword(self, keyword: str, old: Any, new: Any, at: str, *, certain: bool) -> None:
        before, after = old.get(keyword), new.get(keyword)
        if before == after or (not before and not after and keyword == "uniqueItems"):
            return
        at = pointer(at, keyword)
        if keyword not in old:
            self._add(
                at,
                f"{keyword} {parts.spelled(after)} is required now",
                narrows=True,
                certain=certain,
            )
            return
        if keyword not in new:
            self._add(
                at,
                f"{keyword} {parts.spelled(before)} is not required any more",
                widens=True,
                certain=certain,
            )
            return
        what = f"{keyword} changed from {parts.spelled(before)} to {parts.spelled(after)}"
        self._add(at, what, narrows=True, widens=True, certain=certain)

    def _bound(self, keyword: str, old: Any, new: Any, at: str) -> None:
        if keyword not in old or keyword not in new or old[keyword] == new[keyword]:
            self._keyword(keyword, old, new, at, certain=False)
            return
        before, after = old[keyword], new[keyword]
        narrows = after < before if "max" in keyword.lower() else after > before
        what = f"{keyword} changed from {before} to {after}"
        self._add(pointer(at, keyword), what, narrows=narrows, widens=not narrows, certain=False)

    def _object(self, old: Any, new: Any, at: str) -> None:
        before, after = old.get("properties", {}), new.get("properties", {})
        must_before, must_after = set(old.get("required", ())), set(new.get("required", ()))
        for name in [*before, *sorted(must_before - before.keys())]:
            if name not in after and name not in must_after:
                word = "required" if name in must_before else "optional"
                what = f"the {word} field {name} is gone"
                self._add(
                    pointer(at, "properties", name),
                    what,
                    narrows=True,
                    widens=name in must_before,
                )
        for name in [*after, *sorted(must_after - after.keys())]:
            here = pointer(at, "properties", name)
            if name not in before and name not in must_before:
                if name in must_after:
                    self._add(here, f"the field {name} is new and required", narrows=True)
                else:
                    self._field_added(name, here, old, after[name])
                continue
            self._demanded(name, here, must_before, must_after)
            was, now = before.get(name, {}), after.get(name, {})
            self._defaults(was, now, here)
            self.compare(was, now, here)
        self._others(old, new, at)

    def _field_added(self, name: str, here: str, old: Any, new: Any) -> None:
        if self._tolerant and parts.is_model(old):
            return
        until_now = parts.unnamed(old)
        what = f"the optional field {name} is new"
        if until_now is False:
            self._add(here, what, widens=True)
            return
        walk = _Walk(self._old, self._new, tolerant=self._tolerant, been=self._been)
        walk.compare(until_now, new, here)
        if narrowed := [each for each in walk.found if each.narrows]:
            what += ", and until now other things were accepted under that name"
            certain = any(each.certain for each in narrowed)
            self._add(here, what, narrows=True, certain=certain)

    def _demanded(self, name: str, here: str, before: set[str], after: set[str]) -> None:
        if name in before and name not in after:
            self._add(here, f"the field {name} was required and may be left out now", widens=True)
        if name in after and name not in before:
            self._add(here, f"the field {name} was optional and is required now", narrows=True)

    def _defaults(self, old: Any, new: Any, here: str) -> None:
        if not (isinstance(old, dict) and isinstance(new, dict)):
            return
        if "default" in old and "default" in new and old["default"] != new["default"]:
            what = f"left out, it meant {parts.spelled(old['default'])} and now means "
            self._add(
                pointer(here, "default"),
                what + parts.spelled(new["default"]),
                narrows=True,
                widens=True,
            )

    def _others(self, old: Any, new: Any, at: str) -> None:
        """Compare the rules for fields that are not named."""
        before, after = parts.unnamed(old), parts.unnamed(new)
        if self._tolerant:
            before = False if parts.is_model(old) else before
            after = False if parts.is_model(new) else after
        if before == after or parts.types_of(new) not in (None, {"object"}):
            return
        here = pointer(at, "additionalProperties")
        if after is False:
            self._add(here, "fields that are not named are refused now", narrows=True)
        elif before is False:
            self._add(here, "fields that are not named are accepted now", widens=True)
        else:
            self.compare(before, after, here)

    def _add(
        self,
        at: str,
        what: str,
        *,
        narrows: bool = False,
        widens: bool = False,
        certain: bool = True,
    ) -> None:
        found = Difference(pointer=at, what=what, narrows=narrows, widens=widens, certain=certain)
        if found not in self.found:
            self.found.append(found)
