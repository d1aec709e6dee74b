"""What goes into the store and comes out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class Cause:
    """What a transaction's events happen because of: names them and links them."""

    source: str
    id: str
    correlation: str
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """One row of the event table. ``data`` and ``metadata`` are JSON text."""

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
    position: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A task that this process holds. ``epoch`` grows with every claim; ``lease`` is its length."""

    kind: str
    name: str
    data: Mapping[str, Any]
    revision: int
    attempts: int
    epoch: int
    holder: str
    lease: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One entry of a projection, listed under ``parent`` in the order of ``rank``."""

    kind: str
    key: str
    value: Mapping[str, Any]
    parent: str = ""
    rank: str = ""


@dataclass(slots=True)
class Written:
    """What a transaction wrote, told to whoever waits for it after the commit."""

    published: int = 0
    scheduled: set[str] = field(default_factory=set)
