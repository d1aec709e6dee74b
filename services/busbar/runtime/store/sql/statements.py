"""The interface of the statements that run for every batch, and their rows."""

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
"""The columns of an event that are inserted, in this order."""

_IS_CLAIMED = (
    "excluded.holder IS NOT NULL AND (tasks.expires IS NULL OR tasks.expires <= excluded.due)"
)
RESCHEDULE = (
    "due = excluded.due, data = excluded.data, revision = tasks.revision + 1,"
    f" attempts = CASE WHEN {_IS_CLAIMED} THEN 1 ELSE 0 END,"
    f" epoch = CASE WHEN {_IS_CLAIMED} THEN tasks.epoch + 1 ELSE tasks.epoch END,"
    f" holder = CASE WHEN {_IS_CLAIMED} THEN excluded.holder ELSE tasks.holder END,"
    f" expires = CASE WHEN {_IS_CLAIMED} THEN excluded.expires ELSE tasks.expires END"
)
"""The update of a task that is scheduled again, valid on both databases."""

EventRow = tuple[Any, ...]
"""An event's values in the order of :data:`EVENT_COLUMNS`."""


class StreamRow(NamedTuple):
    """An event as it is loaded. ``number`` identifies the writing transaction (0 on SQLite)."""

    stream: str
    version: int
    id: str
    type: str
    data: str
    number: int


@dataclass(frozen=True, slots=True)
class Move:
    """The new next offset of a partition, and its expected stored value."""

    topic: str
    partition: int
    expected: int
    next_offset: int


class ScheduleRow(NamedTuple):
    """A task to insert or move; if it is not held, ``holder`` claims it until ``expires``."""

    kind: str
    name: str
    due: str
    data: str
    holder: str | None
    expires: str | None


class Release(NamedTuple):
    """A claim to release, and when its task is due again if it was not rescheduled."""

    kind: str
    name: str
    epoch: int
    holder: str
    revision: int
    again: str | None


class DocumentRow(NamedTuple):
    """A document's values in the order of its columns."""

    kind: str
    key: str
    parent: str
    rank: str
    value: str


class Statements(Protocol):
    """The statements that run for every batch, each written for its database.

    Every method is one statement, or one that the driver repeats for every row. Schema changes
    and rare reads go through SQLAlchemy Core instead.
    """

    async def insert_events(self, connection: AsyncConnection, rows: Sequence[EventRow]) -> None:
        """Append ``rows``; their positions follow the order in which they are given.

        Raises:
            IntegrityError: an event id, or a version of a stream, exists already.
        """
        ...

    async def read_streams(
        self, connection: AsyncConnection, since: Mapping[str, int]
    ) -> list[StreamRow]:
        """Return the events of each stream from the given version on, ordered by version."""
        ...

    async def newest(
        self, connection: AsyncConnection, streams: Sequence[str]
    ) -> list[tuple[str, int, int]]:
        """Return stream, version and transaction id of the newest event of each stream."""
        ...

    async def unassigned_events(
        self, connection: AsyncConnection, *, after: int, small: int, limit: int
    ) -> list[Any]:
        """Return the first events to publish after position ``after``, in commit order.

        The columns are those of ``StoredEvent``; ``data`` is null where it has more than
        ``small`` characters.
        """
        ...

    async def assign_sequences(
        self, connection: AsyncConnection, rows: Sequence[tuple[int, int, str]]
    ) -> None:
        """Insert sequence, position and digest of events that are to be published."""
        ...

    async def checkpoint(self, connection: AsyncConnection, name: str, value: int) -> None:
        """Insert or move the checkpoint ``name``."""
        ...

    async def mark_inbox(
        self, connection: AsyncConnection, rows: Sequence[tuple[str, str, str, str, str]]
    ) -> set[tuple[str, str]]:
        """Insert consumer, source, id, digest and time; return the (source, id) pairs inserted."""
        ...

    async def insert_offset(
        self, connection: AsyncConnection, consumer: str, topic: str, partition: int, offset: int
    ) -> bool:
        """Insert the first offset of a partition; return whether it was the first."""
        ...

    async def move_offsets(
        self, connection: AsyncConnection, consumer: str, moves: Sequence[Move]
    ) -> int:
        """Move the offsets that have their expected value; return how many had."""
        ...

    async def schedule(
        self, connection: AsyncConnection, rows: Sequence[ScheduleRow]
    ) -> dict[tuple[str, str], tuple[int, int]]:
        """Insert or move tasks; return revision and epoch of those claimed by their holder.

        A task whose lease is held by another process when it is due is only moved.
        """
        ...

    async def next_due(self, connection: AsyncConnection, kind: str) -> str | None:
        """Return when the next claim of a task of ``kind`` can succeed."""
        ...

    async def hold(
        self, connection: AsyncConnection, claims: Collection[Claim], expires: str
    ) -> set[tuple[str, str, int]]:
        """Extend the leases of ``claims``; return kind, name and epoch of those still held."""
        ...

    async def release(
        self, connection: AsyncConnection, releases: Sequence[Release]
    ) -> list[tuple[str, str | None]]:
        """Release claims that are still held; return the kind and next due time of each."""
        ...

    async def put_document(
        self, connection: AsyncConnection, row: DocumentRow, *, only_new: bool
    ) -> bool:
        """Insert a document or replace it; with ``only_new`` keep an existing one.

        Returns whether the row was written.
        """
        ...

    async def put_documents(self, connection: AsyncConnection, rows: Sequence[DocumentRow]) -> None:
        """Insert documents, or replace those of the same kind and key."""
        ...

    async def any_parked(self, connection: AsyncConnection, consumer: str) -> bool:
        """Return whether any ordering key of ``consumer`` is parked."""
        ...

    async def park_key(
        self, connection: AsyncConnection, consumer: str, ordering_key: str, since: str
    ) -> None:
        """Park an ordering key, unless it is parked already."""
        ...


def claimed(rows: Iterable[Sequence[Any]]) -> dict[tuple[str, str], tuple[int, int]]:
    """Return revision and epoch by kind and name of the tasks in ``rows`` that were claimed."""
    return {(row[0], row[1]): (row[2], row[3]) for row in rows if row[4] == 1}
