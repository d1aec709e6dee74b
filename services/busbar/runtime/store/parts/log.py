"""The event log, read in commit order or stream by stream."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal_column, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.runtime.store.model.rows import ALL_KEYS, KeyScope, StoredEvent
from busbar.runtime.store.schema import tables
from busbar.runtime.store.sql.dialect import Dialect

# Both go from one distinct value to the next by the index, without reading the rows between them.
_STREAMS = text(
    "WITH RECURSIVE found(stream) AS ("
    "SELECT min(stream) FROM events WHERE stream >= :first AND stream < :last"
    " UNION ALL SELECT (SELECT min(e.stream) FROM events e"
    " WHERE e.stream > found.stream AND e.stream < :last)"
    " FROM found WHERE found.stream IS NOT NULL)"
    " SELECT stream, (SELECT max(e.version) FROM events e WHERE e.stream = found.stream)"
    " FROM found WHERE stream IS NOT NULL"
)
_KEYS = text(
    "WITH RECURSIVE found(key) AS (SELECT min(key) FROM events WHERE key > :after AND key < :last"
    " UNION ALL SELECT (SELECT min(e.key) FROM events e WHERE e.key > found.key AND e.key < :last)"
    " FROM found WHERE found.key IS NOT NULL)"
    " SELECT key FROM found WHERE key IS NOT NULL LIMIT :limit"
)
_WITHOUT_DATA = [
    column if column.name != "data" else literal_column("''").label("data")
    for column in tables.events.c
]


def committed(dialect: Dialect, *, after: int, category: str = "") -> Select[Any]:
    """Return a query for the events after position ``after`` in commit order, without gaps.

    ``category`` selects streams whose names begin with it.
    """
    query = select(tables.events).where(dialect.committed_after(after)).order_by(*dialect.order())
    if not category:
        return query
    return query.where(func.substr(tables.events.c.stream, 1, len(category)) == category)


_SIZE = func.length(tables.events.c.data) + func.length(tables.events.c.metadata)


def fitting(sizes: Iterable[int], most: int) -> int:
    """Return how many of the first ``sizes`` are at most ``most`` together; at least the first."""
    number = total = 0
    for number, size in enumerate(sizes, start=1):
        total += size
        if total > most:
            return max(number - 1, 1)
    return number


def _in_scope(keys: KeyScope, *, by_index: bool = False) -> ColumnElement[bool]:
    """Return the condition of events in the scope ``keys``, which is not all of them.

    ``by_index`` makes it one for the index of keys. Pages are read in the order of positions from
    a cursor on, for which that index is the wrong one: it has every event of a team, the oldest
    included.
    """
    key = tables.events.c.key
    if keys.prefixes is None:
        return key.is_not(None)
    conditions: list[ColumnElement[bool]] = [key.is_(None)] if keys.keyless else []
    for prefix in keys.prefixes:
        if by_index:
            conditions.append((key >= prefix) & (key < prefix + tables.LAST))
        else:
            conditions.append(func.substr(key, 1, len(prefix)) == prefix)
    return or_(*conditions)


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
        keys: KeyScope = ALL_KEYS,
        types: Collection[str] = (),
        max_bytes: int | None = None,
    ) -> list[StoredEvent]:
        """Return up to ``limit`` events after position ``after`` that match the filters.

        With ``max_bytes``, return only as many as are not larger together, but at least one.
        """
        if keys.is_empty:
            return []
        query = committed(self._dialect, after=after, category=category)
        if key is not None:
            query = query.where(tables.events.c.key == key)
        if correlation is not None:
            query = query.where(tables.events.c.correlation == correlation)
        if keys != ALL_KEYS:
            query = query.where(_in_scope(keys))
        if types:
            query = query.where(tables.events.c.type.in_(sorted(types)))
        return await self._read(query, limit, max_bytes)

    async def _read(
        self, query: Select[Any], limit: int, max_bytes: int | None
    ) -> list[StoredEvent]:
        if max_bytes is not None:
            rows = await self._connection.execute(query.with_only_columns(_SIZE).limit(limit))
            limit = fitting((row[0] for row in rows), max_bytes)
        if not limit:
            return []
        found = await self._connection.execute(query.limit(limit))
        return [StoredEvent._make(row) for row in found]

    async def streams(self, category: str) -> dict[str, int]:
        """Return the version of the newest event of each stream whose name begins so.

        Versions have no gaps, so their sum is the number of events.
        """
        bounds = {"first": category, "last": category + tables.LAST}
        return {row[0]: row[1] for row in await self._connection.execute(_STREAMS, bounds)}

    async def stream(
        self,
        stream: str,
        *,
        after: int,
        limit: int,
        data: bool = True,
        max_bytes: int | None = None,
    ) -> list[StoredEvent]:
        """Return up to ``limit`` events of ``stream`` that follow the version ``after``.

        Without ``data``, the data of each is empty text. ``max_bytes`` is that of :meth:`page`.
        """
        events = tables.events.c
        query = select(*(events if data else _WITHOUT_DATA)).where(
            events.stream == stream, events.version > after
        )
        return await self._read(query.order_by(events.version), limit, max_bytes)

    async def by_id(self, ids: Collection[str]) -> list[StoredEvent]:
        """Return those events whose id is one of ``ids``, without their data."""
        query = select(*_WITHOUT_DATA).where(tables.events.c.id.in_(sorted(ids)))
        return [StoredEvent._make(row) for row in await self._connection.execute(query)]

    async def keys(self, *, after: str, limit: int, prefix: str = "") -> list[str]:
        """Return up to ``limit`` different keys of events, in order, that follow ``after``.

        ``prefix`` is what they begin with.
        """
        bounds = {"after": max(after, prefix), "last": prefix + tables.LAST, "limit": limit}
        found = await self._connection.execute(_KEYS, bounds)
        return [row[0] for row in found]

    async def count(
        self,
        *,
        key: str | None = None,
        correlation: str | None = None,
        keys: KeyScope = ALL_KEYS,
        category: str = "",
    ) -> int:
        """Count the events of one key or one correlation, or with such ``keys``, by an index."""
        if keys.is_empty:
            return 0
        query = select(func.count()).select_from(tables.events)
        if key is not None:
            query = query.where(tables.events.c.key == key)
        if correlation is not None:
            query = query.where(tables.events.c.correlation == correlation)
        if keys != ALL_KEYS:
            query = query.where(_in_scope(keys, by_index=correlation is None))
        if category:
            query = query.where(func.substr(tables.events.c.stream, 1, len(category)) == category)
        return int((await self._connection.execute(query)).scalar_one())

    async def correlations(self, among: Collection[str]) -> set[str]:
        """Return those of the correlations ``among`` that events have."""
        column = tables.events.c.correlation
        query = select(column).where(column.in_(sorted(among))).distinct()
        return set((await self._connection.execute(query)).scalars())

    async def newest_correlations(self, key: str, *, limit: int) -> list[str]:
        """Return the correlations of the newest ``limit`` events of ``key``, newest first."""
        query = committed(self._dialect, after=0).where(tables.events.c.key == key).limit(limit)
        latest = (part.desc() for part in self._dialect.order())
        found = await self._connection.execute(
            query.with_only_columns(tables.events.c.correlation).order_by(None).order_by(*latest)
        )
        return [row[0] for row in found]

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
