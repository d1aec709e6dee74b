"""Statements over many rows at once, in the form in which each database takes them fastest."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.runtime.store.rows import Claim

EVENT_COLUMNS = (
    "stream",
    "version",
    "id",
    "type",
    "time",
    "recorded_time",
    "correlation",
    "causation",
    "topic",
    "key",
    "data",
    "metadata",
)
"""What is given of an event when it is inserted, in this order."""

EventRow = tuple[Any, ...]
"""An event's values in the order of :data:`EVENT_COLUMNS`."""


class StreamRow(NamedTuple):
    """An event as it is loaded. ``number`` is that of the transaction that wrote it, or 0."""

    stream: str
    version: int
    id: str
    type: str
    data: str
    number: int


@dataclass(frozen=True, slots=True)
class Move:
    """A partition's next offset, and the one that it has to have until then."""

    topic: str
    partition: int
    expected: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class Release:
    """A claim that is given back, under what it was taken, and when its task is due again."""

    kind: str
    name: str
    epoch: int
    holder: str
    revision: int
    again: str | None


class Bulk(Protocol):
    """Every method is one statement, or one that is executed for every row."""

    async def insert_events(self, connection: AsyncConnection, rows: Sequence[EventRow]) -> None:
        """Append ``rows``; their positions follow the order in which they are given.

        Raises:
            IntegrityError: another event has such an id, or such a version of its stream.
        """
        ...

    async def stamp(
        self, connection: AsyncConnection, rows: Sequence[tuple[int, int, str]]
    ) -> None:
        """Insert the sequence, position and digest of events that are to be published."""
        ...

    async def read_streams(
        self, connection: AsyncConnection, since: Mapping[str, int]
    ) -> list[StreamRow]:
        """The events of each stream from the given version on, in the order of versions."""
        ...

    async def newest(
        self, connection: AsyncConnection, streams: Sequence[str]
    ) -> list[tuple[str, int, int]]:
        """Stream, version and transaction number of the newest event of each that has any."""
        ...

    async def mark_inbox(
        self, connection: AsyncConnection, rows: Sequence[tuple[str, str, str, str, str]]
    ) -> set[tuple[str, str]]:
        """Insert consumer, source, id, digest and time; which sources and ids were new."""
        ...

    async def move_offsets(
        self, connection: AsyncConnection, consumer: str, moves: Sequence[Move]
    ) -> int:
        """Move offsets that are what is expected of them; how many were."""
        ...

    async def schedule(
        self, connection: AsyncConnection, rows: Sequence[tuple[str, str, str, str]]
    ) -> None:
        """Insert or move tasks: kind, name, due and data."""
        ...

    async def hold(
        self, connection: AsyncConnection, claims: Collection[Claim], expires: str
    ) -> set[tuple[str, str, int]]:
        """Extend the leases of ``claims``; kind, name and epoch of those that are held still."""
        ...

    async def release(self, connection: AsyncConnection, releases: Sequence[Release]) -> int:
        """Give claims back that are held still; how many were."""
        ...
