"""The statements of every batch on PostgreSQL, run by the driver with one array per column.

A statement with one array per column is parsed and planned once, however many rows there are.
Rows that other writers may lock as well are locked in the order of their keys, which prevents
deadlocks.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.runtime.store.model.rows import Claim
from busbar.runtime.store.sql import asyncpg_session
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

VISIBLE = "events.xid < pg_snapshot_xmin(pg_current_snapshot())"
"""Condition of events that no running transaction can precede (ADR 12)."""

AFTER = (
    "(events.xid, events.position) > ("
    "COALESCE((SELECT e.xid FROM events e WHERE e.position <= {after}"
    " ORDER BY e.position DESC LIMIT 1), '0'::xid8), "
    "COALESCE((SELECT e.position FROM events e WHERE e.position <= {after}"
    " ORDER BY e.position DESC LIMIT 1), 0))"
)
"""Condition of events after a position in commit order: by transaction number, then position."""

_NUMBERS = {"version": "int[]"}
_INSERT_EVENTS = (
    f"INSERT INTO events ({', '.join(EVENT_COLUMNS)})"  # noqa: S608 - constant names
    f" SELECT {', '.join(EVENT_COLUMNS)} FROM unnest("
    + ", ".join(f"${n}::{_NUMBERS.get(c, 'text[]')}" for n, c in enumerate(EVENT_COLUMNS, 1))
    + f") WITH ORDINALITY AS r({', '.join(EVENT_COLUMNS)}, place) ORDER BY place"
)
_ASSIGN_SEQUENCES = (
    "INSERT INTO sequences (sequence, position, digest)"
    " SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[])"
)
_CHECKPOINT = (
    "INSERT INTO checkpoints (name, value) VALUES ($1, $2)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_READ_STREAMS = (
    "SELECT e.stream, e.version, e.id, e.type, e.data, e.xid::text::bigint"
    " FROM unnest($1::text[], $2::int[]) AS w(stream, since)"
    " JOIN events e ON e.stream = w.stream AND e.version >= w.since"
    " ORDER BY e.stream, e.version"
)
_NEWEST = (
    "SELECT w.stream, e.version, e.xid::text::bigint FROM unnest($1::text[]) AS w(stream)"
    " CROSS JOIN LATERAL (SELECT version, xid FROM events WHERE events.stream = w.stream"
    " ORDER BY version DESC LIMIT 1) AS e"
)
_UNASSIGNED_EVENTS = (
    "SELECT position, stream, version, id, type, time, recorded_time, correlation, causation,"  # noqa: S608 - constants
    " topic, key, CASE WHEN length(data) <= $2 THEN data END AS data, metadata FROM events"
    f" WHERE {VISIBLE} AND {AFTER.format(after='$1')} AND topic IS NOT NULL"
    " ORDER BY xid, position LIMIT $3"
)
_MARK_INBOX = (
    "INSERT INTO inbox (consumer, source, id, digest, recorded_time)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])"
    " ON CONFLICT DO NOTHING RETURNING source, id"
)
_INSERT_OFFSET = (
    'INSERT INTO offsets (consumer, topic, "partition", next_offset) VALUES ($1, $2, $3, $4)'
    " ON CONFLICT DO NOTHING"
)
_MOVE_OFFSETS = (
    "WITH moves AS (SELECT o.consumer, o.topic, o.partition, m.next_offset"
    " FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[])"
    " AS m(topic, partition, expected, next_offset)"
    " JOIN offsets o ON o.consumer = $1 AND o.topic = m.topic AND o.partition = m.partition"
    " AND o.next_offset = m.expected"
    " ORDER BY o.topic, o.partition FOR UPDATE OF o)"
    " UPDATE offsets o SET next_offset = moves.next_offset FROM moves"
    " WHERE o.consumer = moves.consumer AND o.topic = moves.topic"
    " AND o.partition = moves.partition"
)
_SCHEDULE = (
    "INSERT INTO tasks"  # noqa: S608 - constants
    " (kind, name, due, data, revision, attempts, epoch, holder, expires)"
    " SELECT kind, name, due, data, 1, claimed, claimed, holder, expires FROM (SELECT r.*,"
    " (holder IS NOT NULL)::int AS claimed FROM unnest($1::text[], $2::text[], $3::text[],"
    " $4::text[], $5::text[], $6::text[]) AS r(kind, name, due, data, holder, expires)) AS r"
    f" ON CONFLICT (kind, name) DO UPDATE SET {RESCHEDULE}"
    " RETURNING kind, name, revision, epoch, attempts"
)
_HOLD = (
    "WITH held AS (SELECT t.kind, t.name FROM unnest($1::text[], $2::text[], $3::int[], $4::text[])"
    " AS c(kind, name, epoch, holder) JOIN tasks t ON t.kind = c.kind AND t.name = c.name"
    " AND t.epoch = c.epoch AND t.holder = c.holder"
    " ORDER BY t.kind, t.name FOR UPDATE OF t)"
    " UPDATE tasks t SET expires = $5 FROM held"
    " WHERE t.kind = held.kind AND t.name = held.name RETURNING t.kind, t.name, t.epoch"
)
_RELEASE = (
    "UPDATE tasks t SET holder = NULL, expires = NULL,"
    " due = CASE WHEN t.revision = r.revision THEN r.again ELSE t.due END,"
    " attempts = CASE WHEN r.again IS NULL THEN 0 ELSE t.attempts END"
    " FROM unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::int[], $6::text[])"
    " AS r(kind, name, epoch, holder, revision, again)"
    " WHERE t.kind = r.kind AND t.name = r.name AND t.epoch = r.epoch AND t.holder = r.holder"
    " RETURNING t.kind, t.due"
)


_NEXT_DUE = (
    "SELECT min(CASE WHEN expires > due THEN expires ELSE due END) FROM tasks"
    " WHERE kind = $1 AND due IS NOT NULL"
)
_PUT_DOCUMENT = (
    "INSERT INTO documents (kind, key, parent, rank, value) VALUES ($1, $2, $3, $4, $5)"
    " ON CONFLICT (kind, key) DO "
)
_REPLACE = "UPDATE SET parent = excluded.parent, rank = excluded.rank, value = excluded.value"
_PUT_DOCUMENTS = (
    "INSERT INTO documents (kind, key, parent, rank, value)"  # noqa: S608 - constants
    " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])"
    f" ORDER BY 1, 2 ON CONFLICT (kind, key) DO {_REPLACE}"
)
_ANY_PARKED = "SELECT EXISTS (SELECT 1 FROM parked_keys WHERE consumer = $1)"
_PARK_KEY = (
    "INSERT INTO parked_keys (consumer, ordering_key, since, attempts, requests)"
    " VALUES ($1, $2, $3, 0, '[]') ON CONFLICT DO NOTHING"
)


class PostgresStatements:
    """The statements of every batch on PostgreSQL: one per call, however many rows."""

    async def insert_events(self, connection: AsyncConnection, rows: Sequence[EventRow]) -> None:
        """Append ``rows`` in their order."""
        await asyncpg_session.execute(connection, _INSERT_EVENTS, *_columns(rows))

    async def assign_sequences(
        self, connection: AsyncConnection, rows: Sequence[tuple[int, int, str]]
    ) -> None:
        """Insert sequence, position and digest of events."""
        await asyncpg_session.execute(connection, _ASSIGN_SEQUENCES, *_columns(rows))

    async def checkpoint(self, connection: AsyncConnection, name: str, value: int) -> None:
        """Insert or move a checkpoint."""
        await asyncpg_session.execute(connection, _CHECKPOINT, name, value)

    async def read_streams(
        self, connection: AsyncConnection, since: Mapping[str, int]
    ) -> list[StreamRow]:
        """Return the events of each stream from the given version on."""
        found = await asyncpg_session.fetch(
            connection, _READ_STREAMS, list(since), list(since.values())
        )
        return [StreamRow(*row) for row in found]

    async def newest(
        self, connection: AsyncConnection, streams: Sequence[str]
    ) -> list[tuple[str, int, int]]:
        """Return stream, version and transaction number of the newest event of each stream."""
        found = await asyncpg_session.fetch(connection, _NEWEST, list(streams))
        return [(row[0], row[1], row[2]) for row in found]

    async def mark_inbox(
        self, connection: AsyncConnection, rows: Sequence[tuple[str, str, str, str, str]]
    ) -> set[tuple[str, str]]:
        """Insert new inbox rows; return their source and id."""
        found = await asyncpg_session.fetch(connection, _MARK_INBOX, *_columns(rows))
        return {(row[0], row[1]) for row in found}

    async def move_offsets(
        self, connection: AsyncConnection, consumer: str, moves: Sequence[Move]
    ) -> int:
        """Move the offsets that have their expected value; return how many."""
        columns = _columns([(m.topic, m.partition, m.expected, m.next_offset) for m in moves])
        return await asyncpg_session.execute(connection, _MOVE_OFFSETS, consumer, *columns)

    async def schedule(
        self, connection: AsyncConnection, rows: Sequence[ScheduleRow]
    ) -> dict[tuple[str, str], tuple[int, int]]:
        """Insert or move tasks; return revision and epoch of those claimed."""
        return claimed(await asyncpg_session.fetch(connection, _SCHEDULE, *_columns(rows)))

    async def hold(
        self, connection: AsyncConnection, claims: Collection[Claim], expires: str
    ) -> set[tuple[str, str, int]]:
        """Extend the leases that are still held; return kind, name and epoch of each."""
        rows = [(claim.kind, claim.name, claim.epoch, claim.holder) for claim in claims]
        found = await asyncpg_session.fetch(connection, _HOLD, *_columns(rows), expires)
        return {(row[0], row[1], row[2]) for row in found}

    async def release(
        self, connection: AsyncConnection, releases: Sequence[Release]
    ) -> list[tuple[str, str | None]]:
        """Release the claims that are still held; return kind and next due time of each."""
        return [
            (row[0], row[1])
            for row in await asyncpg_session.fetch(connection, _RELEASE, *_columns(releases))
        ]

    async def unassigned_events(
        self, connection: AsyncConnection, *, after: int, small: int, limit: int
    ) -> list[Any]:
        """Return the next events to publish; ``data`` is null if it is longer than ``small``."""
        return await asyncpg_session.fetch(connection, _UNASSIGNED_EVENTS, after, small, limit)

    async def insert_offset(
        self, connection: AsyncConnection, consumer: str, topic: str, partition: int, offset: int
    ) -> bool:
        """Insert the first offset of a partition; return whether it was the first."""
        values = (consumer, topic, partition, offset)
        return await asyncpg_session.execute(connection, _INSERT_OFFSET, *values) == 1

    async def next_due(self, connection: AsyncConnection, kind: str) -> str | None:
        """Return when the next claim can succeed."""
        ((value,),) = await asyncpg_session.fetch(connection, _NEXT_DUE, kind)
        return None if value is None else str(value)

    async def put_document(
        self, connection: AsyncConnection, row: DocumentRow, *, only_new: bool
    ) -> bool:
        """Insert or replace a document; return whether the row was written."""
        statement = _PUT_DOCUMENT + ("NOTHING" if only_new else _REPLACE)
        return await asyncpg_session.execute(connection, statement, *row) == 1

    async def put_documents(self, connection: AsyncConnection, rows: Sequence[DocumentRow]) -> None:
        """Insert or replace documents."""
        await asyncpg_session.execute(connection, _PUT_DOCUMENTS, *_columns(rows))

    async def any_parked(self, connection: AsyncConnection, consumer: str) -> bool:
        """Return whether any ordering key is parked."""
        ((found,),) = await asyncpg_session.fetch(connection, _ANY_PARKED, consumer)
        return bool(found)

    async def park_key(
        self, connection: AsyncConnection, consumer: str, ordering_key: str, since: str
    ) -> None:
        """Park an ordering key, unless it is parked already."""
        await asyncpg_session.execute(connection, _PARK_KEY, consumer, ordering_key, since)


def _columns(rows: Sequence[tuple[Any, ...]]) -> tuple[list[Any], ...]:
    return tuple(list(column) for column in zip(*rows, strict=True))
