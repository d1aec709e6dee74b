"""The intents that a rule is about: by its match, the catalogue and the declared environments."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Final

from busbar.kernel import json_pointer
from busbar.messages.base import JsonObject
from busbar.messages.plan import Action
from busbar.messages.resource import ApplyResource, DeleteResource
from busbar.policy.domain.environments import Environments
from busbar.policy.domain.promise import Promises, PromiseVersion
from busbar.policy.domain.rules import Rule, RuleMatch, fits
from busbar.policy.domain.values import NAME_PATTERN, Values, always_present, values_at

_SLUG: Final[JsonObject] = {"type": "string", "pattern": NAME_PATTERN}
_GENERATION: Final[JsonObject] = {"type": ["integer", "null"], "minimum": 0}
_ACTIONS: Final[tuple[Action, ...]] = ("apply", "delete")
_WILD: Final = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Known:
    """The promises and environments that rules can name."""

    promises: Promises = field(default_factory=Promises)
    environments: Environments = field(default_factory=Environments)

    @property
    def unread(self) -> tuple[str, ...]:
        """The names of promises whose file is broken, if the file or its name says them."""
        names = {PurePosixPath(key).stem for key in self.promises.broken}
        return tuple(sorted(names - self.promises.offered.keys()))

    @property
    def promise_names(self) -> tuple[str, ...]:
        """The names of promises, those with a broken file included."""
        return tuple(sorted({*self.promises.offered, *self.unread}))

    def widened(self, other: "Known") -> "Known":
        """Return this with what only ``other`` has."""
        offered = {
            name: promise
            for name, promise in other.promises.offered.items()
            if name not in self.promise_names
        }
        environments = {**other.environments.declared, **self.environments.declared}
        return Known(
            Promises(offered={**self.promises.offered, **offered}, broken=self.promises.broken),
            Environments.of(environments.values()),
        )


@dataclass(frozen=True)
class Target:
    """The intents of one action on one version of a promise that a rule is about.

    ``version`` is None if the schema is not known: the promise's file is broken, or none is named.
    """

    action: Action
    promise: str | None
    version: PromiseVersion | None
    is_newest: bool
    match: RuleMatch
    environments: tuple[str, ...]

    @cached_property
    def _fields(self) -> dict[str, Any]:
        """The schemas of the fields of the intent's data, without the spec."""
        model = ApplyResource if self.action == "apply" else DeleteResource
        versions = [self.version.version] if self.version else []
        known: dict[str, JsonObject] = {
            "team": _named(self.match.team),
            "environment": {"enum": list(self.environments)},
            "promise": {"const": self.promise} if self.promise else _named(self.match.promise),
            "name": _SLUG,
            "version": {"enum": [*versions, None] if self.is_newest else versions}
            if versions
            else {},
            "expected_generation": _GENERATION,
            "spec": {"type": "object"},
        }
        return {name: known[name] for name in model.model_fields}

    @property
    def field_names(self) -> tuple[str, ...]:
        """The fields that the intent's data can have."""
        return tuple(self._fields)

    def values_at(self, pointer: str) -> list[Values]:
        """Return the values that can be at ``pointer``; empty if nothing ever is."""
        head, *path = json_pointer.split(pointer)
        if head not in self._fields:
            return []
        if head != "spec":
            return values_at({"properties": self._fields, "type": "object"}, [head, *path])
        return values_at(self.version.schema, path) if self.version else [Values((), {})]

    def always_has(self, pointer: str) -> bool:
        """Return whether there is surely a value at ``pointer``."""
        head, *path = json_pointer.split(pointer)
        if head not in self._fields:
            return False
        if head == "spec":
            return not path or (
                self.version is not None and always_present(self.version.schema, path)
            )
        optional = head == "expected_generation" or (head == "version" and self.is_newest)
        return not path and not optional


def targets_of(rule: Rule, known: Known) -> list[Target]:
    """Return the kinds of intents that ``rule`` is about; empty if there are none."""
    match = rule.match
    environments = tuple(
        name
        for name in environments_of(match, known.environments)
        if not fits(name, rule.lifted_in)
    )
    if not environments:
        return []
    return [
        Target(action, promise, version, is_newest, match, environments)
        for action in _ACTIONS
        if fits(action, match.action)
        for promise, version, is_newest in _versions(match, known)
    ]


def _versions(
    match: RuleMatch, known: Known
) -> Iterator[tuple[str | None, PromiseVersion | None, bool]]:
    named = False
    for name, promise in known.promises.offered.items():
        if fits(name, match.promise):
            named = True
            for version in promise.versions.values():
                yield name, version, version is promise.newest
    # A promise whose file is broken can have any schema, once the file is corrected.
    for name in known.unread:
        if fits(name, match.promise):
            named = True
            yield name, None, True
    if not named and not known.promise_names:
        yield None, None, True


def environments_of(match: RuleMatch, environments: Environments) -> tuple[str, ...]:
    """Return the declared environments that ``match`` fits."""
    return tuple(
        name
        for name in environments.names
        if fits(name, match.environment) and match.fits_labels(environments.labels_of(name))
    )


def is_glob(text: str) -> bool:
    """Return whether ``text`` has a character that is special in globs."""
    return bool(_WILD.intersection(text))


def _named(globs: tuple[str, ...]) -> JsonObject:
    """Return the schema of names that ``globs`` fit, as far as a schema can say it."""
    return _SLUG if any(map(is_glob, globs)) else {**_SLUG, "enum": list(globs)}
