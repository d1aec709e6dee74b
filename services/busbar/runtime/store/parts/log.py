"""The event log, read in commit order."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.runtime.store.model.rows import StoredEvent
from busbar.runtime.store.schema import tables
from busbar.runtime.store.sql.dialect import Dialect


def committed(dialect: Dialect, *, after: int, category: str = "") -> Select[Any]:
    """Return a query for the events after position ``after`` in commit order, without gaps.

    ``category`` selects streams whose names begin with it.
    """
    query = select(tables.events).where(dialect.committed_after(after)).order_by(*dialect.order())
    if not category:
        return query
    return query.where(func.substr(tables.events.c.stream, 1, len(category)) == category)


async def count(connection: AsyncConnection, rows: Select[Any]) -> int:
    """Count ``rows``, a query with a limit: counting a whole table is expensive."""
    found = await connection.execute(select(func.count()).select_from(rows.subquery()))
    return int(found.scalar_one())


class EventLog:
    """Pages of the event log as one transaction sees it."""

    def __init__(self, connection: AsyncConnection, dialect: Dialect) -> None:
        self._connection = connection
        self._dialect = dialect

    async def page(
        self,
        *,
        after: int,
        limit: int,
        key: str | None = None,
        correlation: str | None = None,
        category: str = "",
        key_prefix: str = "",
        types: Collection[str] = (),
    ) -> list[StoredEvent]:
        """Return up to ``limit`` events after position ``after`` that match the filters."""
        query = committed(self._dialect, after=after, category=category).limit(limit)
        if key is not None:
            query = query.where(tables.events.c.key == key)
        if correlation is not None:
            query = query.where(tables.events.c.correlation == correlation)
        if key_prefix:
            begin = func.substr(tables.events.c.key, 1, len(key_prefix))
            query = query.where(begin == key_prefix)
        if types:
            query = query.where(tables.events.c.type.in_(sorted(types)))
        rows = await self._connection.execute(query)
        return [StoredEvent._make(row) for row in rows]

    async def newest(self, *, category: str = "") -> int | None:
        """Return the position of the newest visible event, or None if there is none."""
        query = committed(self._dialect, after=0, category=category)
        latest = (part.desc() for part in self._dialect.order())
        found = await self._connection.execute(
            query.with_only_columns(tables.events.c.position)
            .order_by(None)
            .order_by(*latest)
            .limit(1)
        )
        position: int | None = found.scalar()
        return position

    async def hidden_since(self) -> str | None:
        """Return the recorded time of the oldest committed event that readers may not see yet."""
        condition = self._dialect.not_yet_visible()
        if condition is None:
            return None
        query = select(tables.events.c.recorded_time).where(condition)
        found = await self._connection.execute(query.order_by(*self._dialect.order()).limit(1))
        first: str | None = found.scalar()
        return first
