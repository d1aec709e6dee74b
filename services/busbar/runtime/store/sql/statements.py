"""Statements over many rows at once, in the form in which each database takes them fastest."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.runtime.store.model.rows import Claim

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

_IS_TAKEN = (
    "excluded.holder IS NOT NULL AND (tasks.expires IS NULL OR tasks.expires <= excluded.due)"
)
MOVED = (
    "due = excluded.due, data = excluded.data, revision = tasks.revision + 1,"
    f" attempts = CASE WHEN {_IS_TAKEN} THEN 1 ELSE 0 END,"
    f" epoch = CASE WHEN {_IS_TAKEN} THEN tasks.epoch + 1 ELSE tasks.epoch END,"
    f" holder = CASE WHEN {_IS_TAKEN} THEN excluded.holder ELSE tasks.holder END,"
    f" expires = CASE WHEN {_IS_TAKEN} THEN excluded.expires ELSE tasks.expires END"
)
"""What becomes of a task that is scheduled again; both databases spell it so."""

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


class ScheduleRow(NamedTuple):
    """A task to insert or to move, and who takes it until when if nobody holds it."""

    kind: str
    name: str
    due: str
    data: str
    holder: str | None
    expires: str | None


class Release(NamedTuple):
    """A claim that is given back, under what it was taken, and when its task is due again."""

    kind: str
    name: str
    epoch: int
    holder: str
    revision: int
    again: str | None


class Statements(Protocol):
    """Every method is one statement, or one that is executed for every row."""

    async def rows(
        self, connection: AsyncConnection, statement: str, values: Sequence[Any]
    ) -> list[Any]:
        """The rows of a statement in the driver's own words; ``values`` in their order."""
        ...

    async def insert_events(self, connection: AsyncConnection, rows: Sequence[EventRow]) -> None:
        """Append ``rows``; their positions follow the order in which they are given.

        Raises:
            IntegrityError: another event has such an id, or such a version of its stream.
        """
        ...

    async def assign_sequences(
        self, connection: AsyncConnection, rows: Sequence[tuple[int, int, str]]
    ) -> None:
        """Insert the sequence, position and digest of events that are to be published."""
        ...

    async def checkpoint(self, connection: AsyncConnection, name: str, value: int) -> None:
        """Remember how far ``name`` has come."""
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
        self, connection: AsyncConnection, rows: Sequence[ScheduleRow]
    ) -> dict[tuple[str, str], tuple[int, int]]:
        """Insert or move tasks; revision and epoch of those that their holder has now.

        One that another holds still when it is due is only moved.
        """
        ...

    async def hold(
        self, connection: AsyncConnection, claims: Collection[Claim], expires: str
    ) -> set[tuple[str, str, int]]:
        """Extend the leases of ``claims``; kind, name and epoch of those that are held still."""
        ...

    async def release(
        self, connection: AsyncConnection, releases: Sequence[Release]
    ) -> list[tuple[str, str | None]]:
        """Give claims back that are held still; kind of each, and when it is due again, if ever."""
        ...


def taken(rows: Iterable[Sequence[Any]]) -> dict[tuple[str, str], tuple[int, int]]:
    """Revision and epoch by kind and name; only whoever takes a task makes an attempt at it."""
    return {(row[0], row[1]): (row[2], row[3]) for row in rows if row[4] == 1}
