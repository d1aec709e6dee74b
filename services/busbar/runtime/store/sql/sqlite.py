"""The statements of every batch on SQLite: few calls to the driver's thread for many rows."""

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.runtime.store.model.rows import Claim
from busbar.runtime.store.sql.statements import (
    EVENT_COLUMNS,
    RESCHEDULE,
    DocumentRow,
    EventRow,
    Move,
    Release,
    ScheduleRow,
    StreamRow,
    claimed,
)

CHUNK_ROWS = 500
"""Rows per statement: SQLite takes at most 32,766 values (SQLITE_MAX_VARIABLE_NUMBER)."""

_INSERT_EVENTS = (
    f"INSERT INTO events ({', '.join(EVENT_COLUMNS)})"  # noqa: S608 - constant names
    f" VALUES ({', '.join('?' * len(EVENT_COLUMNS))})"
)
_ASSIGN_SEQUENCES = "INSERT INTO sequences (sequence, position, digest) VALUES (?, ?, ?)"
_CHECKPOINT = (
    "INSERT INTO checkpoints (name, value) VALUES (?, ?)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_READ_STREAMS = (
    "WITH w(stream, since) AS (VALUES {values})"
    " SELECT e.stream, e.version, e.id, e.type, e.data, 0"
    " FROM w JOIN events e ON e.stream = w.stream AND e.version >= w.since"
    " ORDER BY e.stream, e.version"
)
_NEWEST = (
    "WITH w(stream) AS (VALUES {values})"
    " SELECT w.stream, max(e.version), 0 FROM w JOIN events e ON e.stream = w.stream"
    " GROUP BY w.stream"
)
_UNASSIGNED_EVENTS = (
    "SELECT position, stream, version, id, type, time, recorded_time, correlation, causation,"
    " topic, key, CASE WHEN length(data) <= ? THEN data END AS data, metadata FROM events"
    " WHERE position > ? AND topic IS NOT NULL ORDER BY position LIMIT ?"
)
_MARK_INBOX = (
    "INSERT INTO inbox (consumer, source, id, digest, recorded_time) VALUES {values}"
    " ON CONFLICT DO NOTHING RETURNING source, id"
)
_INSERT_OFFSET = (
    'INSERT INTO offsets (consumer, topic, "partition", next_offset) VALUES (?, ?, ?, ?)'
    " ON CONFLICT DO NOTHING"
)
_MOVE_OFFSETS = (
    "UPDATE offsets SET next_offset = ?"
    ' WHERE consumer = ? AND topic = ? AND "partition" = ? AND next_offset = ?'
)
_SCHEDULE = (
    "WITH r(kind, name, due, data, holder, expires)"  # noqa: S608 - constants
    " AS (VALUES {values})"
    " INSERT INTO tasks (kind, name, due, data, revision, attempts, epoch, holder, expires)"
    " SELECT kind, name, due, data, 1, holder IS NOT NULL, holder IS NOT NULL, holder, expires"
    # Without a condition, SQLite would parse ON as that of a join.
    f" FROM r WHERE true ON CONFLICT (kind, name) DO UPDATE SET {RESCHEDULE}"
    " RETURNING kind, name, revision, epoch, attempts"
)
_HOLD = (
    "WITH c(kind, name, epoch, holder) AS (VALUES {values})"
    " UPDATE tasks SET expires = ? FROM c"
    " WHERE tasks.kind = c.kind AND tasks.name = c.name AND tasks.epoch = c.epoch"
    " AND tasks.holder = c.holder RETURNING tasks.kind, tasks.name, tasks.epoch"
)
_RELEASE = (
    "WITH r(kind, name, epoch, holder, revision, again) AS (VALUES {values})"
    " UPDATE tasks SET holder = NULL, expires = NULL,"
    " due = CASE WHEN tasks.revision = r.revision THEN r.again ELSE tasks.due END,"
    " attempts = CASE WHEN r.again IS NULL THEN 0 ELSE tasks.attempts END"
    " FROM r WHERE tasks.kind = r.kind AND tasks.name = r.name AND tasks.epoch = r.epoch"
    " AND tasks.holder = r.holder RETURNING tasks.kind, tasks.due"
)


_NEXT_DUE = (
    "SELECT min(CASE WHEN expires > due THEN expires ELSE due END) FROM tasks"
    " WHERE kind = ? AND due IS NOT NULL"
)
_PUT_DOCUMENT = (
    "INSERT INTO documents (kind, key, parent, rank, value) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (kind, key) DO "
)
_REPLACE = "UPDATE SET parent = excluded.parent, rank = excluded.rank, value = excluded.value"
_ANY_PARKED = "SELECT EXISTS (SELECT 1 FROM parked_keys WHERE consumer = ?)"
_PARK_KEY = (
    "INSERT INTO parked_keys (consumer, ordering_key, since, attempts, requests)"
    " VALUES (?, ?, ?, 0, '[]') ON CONFLICT DO NOTHING"
)


class SqliteStatements:
    """The statements of every batch on SQLite: lists of values, or repeated inside the driver."""

    async def insert_events(self, connection: AsyncConnection, rows: Sequence[EventRow]) -> None:
        """Append ``rows`` in their order."""
        await connection.exec_driver_sql(_INSERT_EVENTS, list(rows))

    async def assign_sequences(
        self, connection: AsyncConnection, rows: Sequence[tuple[int, int, str]]
    ) -> None:
        """Insert sequence, position and digest of events."""
        await connection.exec_driver_sql(_ASSIGN_SEQUENCES, list(rows))

    async def checkpoint(self, connection: AsyncConnection, name: str, value: int) -> None:
        """Insert or move a checkpoint."""
        await connection.exec_driver_sql(_CHECKPOINT, (name, value))

    async def read_streams(
        self, connection: AsyncConnection, since: Mapping[str, int]
    ) -> list[StreamRow]:
        """Return the events of each stream from the given version on."""
        found = await _execute_values(connection, _READ_STREAMS, list(since.items()))
        return [StreamRow(*row) for row in found]

    async def newest(
        self, connection: AsyncConnection, streams: Sequence[str]
    ) -> list[tuple[str, int, int]]:
        """Return stream, version and transaction number of the newest event of each stream."""
        found = await _execute_values(connection, _NEWEST, [(stream,) for stream in streams])
        return [(row[0], row[1], row[2]) for row in found]

    async def mark_inbox(
        self, connection: AsyncConnection, rows: Sequence[tuple[str, str, str, str, str]]
    ) -> set[tuple[str, str]]:
        """Insert new inbox rows; return their source and id."""
        return {(row[0], row[1]) for row in await _execute_values(connection, _MARK_INBOX, rows)}

    async def move_offsets(
        self, connection: AsyncConnection, consumer: str, moves: Sequence[Move]
    ) -> int:
        """Move the offsets that have their expected value; return how many."""
        rows = [(m.next_offset, consumer, m.topic, m.partition, m.expected) for m in moves]
        return (await connection.exec_driver_sql(_MOVE_OFFSETS, rows)).rowcount

    async def schedule(
        self, connection: AsyncConnection, rows: Sequence[ScheduleRow]
    ) -> dict[tuple[str, str], tuple[int, int]]:
        """Insert or move tasks; return revision and epoch of those claimed."""
        return claimed(await _execute_values(connection, _SCHEDULE, rows))

    async def hold(
        self, connection: AsyncConnection, claims: Collection[Claim], expires: str
    ) -> set[tuple[str, str, int]]:
        """Extend the leases that are still held; return kind, name and epoch of each."""
        rows = [(claim.kind, claim.name, claim.epoch, claim.holder) for claim in claims]
        found = await _execute_values(connection, _HOLD, rows, expires)
        return {(row[0], row[1], row[2]) for row in found}

    async def release(
        self, connection: AsyncConnection, releases: Sequence[Release]
    ) -> list[tuple[str, str | None]]:
        """Release the claims that are still held; return kind and next due time of each."""
        return [(row[0], row[1]) for row in await _execute_values(connection, _RELEASE, releases)]

    async def unassigned_events(
        self, connection: AsyncConnection, *, after: int, small: int, limit: int
    ) -> list[Any]:
        """Return the next events to publish; ``data`` is null if it is longer than ``small``."""
        return list(await connection.exec_driver_sql(_UNASSIGNED_EVENTS, (small, after, limit)))

    async def insert_offset(
        self, connection: AsyncConnection, consumer: str, topic: str, partition: int, offset: int
    ) -> bool:
        """Insert the first offset of a partition; return whether it was the first."""
        values = (consumer, topic, partition, offset)
        return (await connection.exec_driver_sql(_INSERT_OFFSET, values)).rowcount == 1

    async def next_due(self, connection: AsyncConnection, kind: str) -> str | None:
        """Return when the next claim can succeed."""
        value = (await connection.exec_driver_sql(_NEXT_DUE, (kind,))).scalar()
        return None if value is None else str(value)

    async def put_document(
        self, connection: AsyncConnection, row: DocumentRow, *, only_new: bool
    ) -> bool:
        """Insert or replace a document; return whether the row was written."""
        statement = _PUT_DOCUMENT + ("NOTHING" if only_new else _REPLACE)
        return (await connection.exec_driver_sql(statement, tuple(row))).rowcount == 1

    async def put_documents(self, connection: AsyncConnection, rows: Sequence[DocumentRow]) -> None:
        """Insert or replace documents."""
        await connection.exec_driver_sql(_PUT_DOCUMENT + _REPLACE, [tuple(row) for row in rows])

    async def any_parked(self, connection: AsyncConnection, consumer: str) -> bool:
        """Return whether any ordering key is parked."""
        return bool((await connection.exec_driver_sql(_ANY_PARKED, (consumer,))).scalar())

    async def park_key(
        self, connection: AsyncConnection, consumer: str, ordering_key: str, since: str
    ) -> None:
        """Park an ordering key, unless it is parked already."""
        await connection.exec_driver_sql(_PARK_KEY, (consumer, ordering_key, since))


async def _execute_values(
    connection: AsyncConnection, statement: str, rows: Sequence[tuple[Any, ...]], *more: Any
) -> list[Any]:
    """Execute ``statement`` with chunks of ``rows`` as its ``{values}``; return the results."""
    found: list[Any] = []
    for start in range(0, len(rows), CHUNK_ROWS):
        part = rows[start : start + CHUNK_ROWS]
        row = f"({', '.join('?' * len(part[0]))})"
        values = ", ".join([row] * len(part))
        result = await connection.exec_driver_sql(
            statement.format(values=values), (*chain.from_iterable(part), *more)
        )
        found.extend(result)
    return found
