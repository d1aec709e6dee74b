"""What goes into the store and comes out of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple


class Cause(NamedTuple):
    """What a transaction's events happen because of: names them and links them."""

    source: str
    id: str
    correlation: str
    traceparent: str | None = None


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
    """A task that this process holds. ``epoch`` grows with every claim; ``lease`` is its length."""

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
        """What tells it from every other claim, of the same task as well."""
        return self.kind, self.name, self.epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One entry of a projection, listed under ``parent`` in the order of ``rank``."""

    kind: str
    key: str
    value: Mapping[str, Any]
    parent: str = ""
    rank: str = ""
