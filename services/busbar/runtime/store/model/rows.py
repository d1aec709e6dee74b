"""Values that are written to the store and read from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NamedTuple

from busbar.messages.read_scope import ReadScope, prefix_of


class Cause(NamedTuple):
    """The message that causes events: their ids derive from it, and they refer to it.

    ``onbehalfof`` is the principal that asked for what began the chain, if policy has verified one.
    """

    source: str
    id: str
    correlation: str
    traceparent: str | None = None
    onbehalfof: str | None = None


class StoredEvent(NamedTuple):
    """One row of the event table, in the order of its columns.

    ``data`` and ``metadata`` are JSON text.
    """

    position: int
    stream: str
    version: int
    id: str
    type: str
    time: str
    recorded_time: str
    correlation: str
    causation: str
    topic: str | None
    key: str | None
    data: str
    metadata: str


class Claim(NamedTuple):
    """A task that this process holds.

    ``epoch`` grows with every claim of the task; ``lease`` is the length of the lease.
    """

    kind: str
    name: str
    data: Mapping[str, Any]
    revision: int
    attempts: int
    epoch: int
    holder: str
    lease: timedelta

    @property
    def identity(self) -> tuple[str, str, int]:
        """Kind, name and epoch: distinct for every claim, also of the same task."""
        return self.kind, self.name, self.epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An entry of a projection, listed under ``parent`` in the order of ``rank``."""

    kind: str
    key: str
    value: Mapping[str, Any]
    parent: str = ""
    rank: str = ""


@dataclass(frozen=True, slots=True)
class KeyScope:
    """A selection of events by their keys.

    Those whose key begins with one of ``prefixes`` (None is every key), and those that have no key
    if ``keyless``.
    """

    prefixes: tuple[str, ...] | None = None
    keyless: bool = True

    @classmethod
    def of(cls, scope: ReadScope) -> "KeyScope":
        """Return the events in ``scope``, if keys begin with the team that an event belongs to."""
        teams = scope.teams
        prefixes = None if teams is None else tuple(map(prefix_of, teams))
        return cls(prefixes, scope.platform)

    @property
    def is_empty(self) -> bool:
        """True if nothing can be selected."""
        return not self.keyless and self.prefixes == ()


ALL_KEYS: Final = KeyScope()
"""Every event."""
