"""The outbox of a store: events to publish, their sequences, and those not acknowledged."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Select, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.runtime.store.model.rows import StoredEvent
from busbar.runtime.store.parts import log
from busbar.runtime.store.schema import tables
from busbar.runtime.store.sql.dialect import Dialect

_ACKNOWLEDGED = "published"
"""The checkpoint that holds the highest sequence that the bus has acknowledged."""


class Assigned(NamedTuple):
    """A published event's sequence, its position in the store, and its link of the digest chain."""

    sequence: int
    position: int
    digest: str


class Owed(NamedTuple):
    """An event with its sequence that the bus has not acknowledged yet."""

    event: StoredEvent
    sequence: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """Upper bounds of one batch of events; a single larger event still makes a batch."""

    events: int = 500
    chars: int = 8_000_000
    """Characters of data held in memory; a dead letter may have megabytes."""

    @property
    def small(self) -> int:
        """Characters per event up to which a full batch fits, so that no length is queried."""
        return self.chars // self.events


class Outbox:
    """Reads events that are due for publication and records their sequences."""

    def __init__(self, connection: AsyncConnection, dialect: Dialect) -> None:
        self._connection = connection
        self._dialect = dialect

    async def has_new_events(self, *, after: int) -> tuple[bool, bool]:
        """Return whether there are events to publish now, and whether some become visible soon.

        Both are read in one view: an event that becomes visible between two queries would be
        missed by both.
        """
        published = tables.events.c.topic.is_not(None)
        some = select(tables.events.c.position)
        has_new = exists(some.where(self._dialect.committed_after(after), published))
        hidden = self._dialect.not_yet_visible()
        if hidden is None:
            return bool((await self._connection.execute(select(has_new))).scalar()), False
        found = await self._connection.execute(select(has_new, exists(some.where(hidden))))
        new, soon = found.one()
        return bool(new), bool(soon)

    async def unassigned(self, *, after: int, limits: BatchLimits) -> list[StoredEvent]:
        """Return the first events after position ``after`` that need a sequence, within limits."""
        rows = await self._dialect.statements.unassigned_events(
            self._connection, after=after, small=limits.small, limit=limits.events
        )
        events = [StoredEvent._make(row) for row in rows]
        if all(event.data is not None for event in events):
            return events
        query = self._to_publish(after)
        found = await self._connection.execute(query.limit(await self._fitting(query, limits)))
        return [StoredEvent._make(row) for row in found]

    async def assign(self, rows: Sequence[Assigned]) -> None:
        """Insert the sequence of each event; rows are never changed afterwards."""
        await self._dialect.statements.assign_sequences(self._connection, rows)

    async def last_assigned(self) -> Assigned | None:
        """Return the newest sequence, or None if nothing was ever published."""
        found = await self._connection.execute(
            select(tables.sequences).order_by(tables.sequences.c.sequence.desc()).limit(1)
        )
        row = found.first()
        return None if row is None else Assigned(row.sequence, row.position, row.digest)

    async def acknowledge(self, sequence: int) -> None:
        """Record that the bus has acknowledged everything up to ``sequence``."""
        await self._dialect.statements.checkpoint(self._connection, _ACKNOWLEDGED, sequence)

    async def acknowledged(self) -> int:
        """Return the highest sequence that the bus is known to have; 0 if none."""
        checkpoint = tables.checkpoints.c
        found = await self._connection.execute(
            select(checkpoint.value).where(checkpoint.name == _ACKNOWLEDGED)
        )
        return int(found.scalar() or 0)

    async def owed(self, *, after: int, limits: BatchLimits) -> list[Owed]:
        """Return events that have a sequence above ``after``, oldest first, within limits."""
        query = (
            select(tables.events, tables.sequences.c.sequence, tables.sequences.c.digest)
            .join(tables.sequences, tables.sequences.c.position == tables.events.c.position)
            .where(tables.sequences.c.sequence > after)
            .order_by(tables.sequences.c.sequence)
        )
        count = await self._fitting(query, limits)
        if not count:
            return []
        found: list[Owed] = []
        for row in await self._connection.execute(query.limit(count)):
            *columns, sequence, digest = row
            found.append(Owed(StoredEvent._make(columns), sequence, digest))
        return found

    async def backlog(self, *, limit: int) -> int:
        """Count the events that are recorded and not acknowledged, up to ``limit``."""
        last = await self.last_assigned()
        query = self._to_publish(last.position if last else 0)
        some = query.with_only_columns(tables.events.c.position).order_by(None).limit(limit)
        unassigned = await log.count(self._connection, some)
        owed = (last.sequence if last else 0) - await self.acknowledged()
        return min(limit, unassigned + owed)

    def _to_publish(self, after: int) -> Select[Any]:
        query = log.committed(self._dialect, after=after)
        return query.where(tables.events.c.topic.is_not(None))

    async def _fitting(self, query: Select[Any], limits: BatchLimits) -> int:
        """Return how many of the first events of ``query`` fit; the first one always does."""
        length = func.length(tables.events.c.data)
        lengths = query.with_only_columns(length).limit(limits.events)
        count = total = 0
        for chars in (await self._connection.execute(lengths)).scalars():
            total += chars
            if count and total > limits.chars:
                break
            count += 1
        return count
