"""Values that are written to the store and read from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple


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
