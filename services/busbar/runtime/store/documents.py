"""Projections: JSON documents by kind and key."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Select, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.runtime.store import tables
from busbar.runtime.store.rows import Document
from busbar.runtime.store.upsert import upsert


class Documents:
    """Saves and finds documents."""

    def __init__(self, connection: AsyncConnection) -> None:
        """Act on ``connection``, inside its transaction."""
        self._connection = connection

    async def put(self, document: Document) -> None:
        """Save ``document``, replacing the one of the same kind and key."""
        row = {**asdict(document), "value": json.dumps(dict(document.value), ensure_ascii=False)}
        statement = upsert(self._connection, tables.documents).values(**row)
        await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=["kind", "key"],
                set_={name: row[name] for name in ("parent", "rank", "value")},
            )
        )

    async def get(self, kind: str, key: str) -> Mapping[str, Any] | None:
        """The document of ``kind`` under ``key``."""
        found = await self._connection.execute(
            select(tables.documents.c.value).where(
                tables.documents.c.kind == kind, tables.documents.c.key == key
            )
        )
        value = found.scalar()
        return None if value is None else dict(json.loads(value))

    async def remove(self, kind: str, key: str) -> None:
        """Forget the document of ``kind`` under ``key``."""
        await self._connection.execute(
            delete(tables.documents).where(
                tables.documents.c.kind == kind, tables.documents.c.key == key
            )
        )

    async def find(
        self,
        kind: str,
        *,
        parent: str | None = None,
        prefix: str | None = None,
        after: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
    ) -> list[Document]:
        """Documents of ``kind`` in the order of their rank.

        ``parent`` keeps those under one parent, ``prefix`` those whose key starts so, ``after``
        those that come after a rank in the order asked for.
        """
        column = tables.documents.c
        query: Select[Any] = select(tables.documents).where(column.kind == kind).limit(limit)
        if parent is not None:
            query = query.where(column.parent == parent)
        if prefix is not None:
            query = query.where(func.substr(column.key, 1, len(prefix)) == prefix)
        if after is not None:
            query = query.where(column.rank < after if newest_first else column.rank > after)
        order = (column.rank, column.key)
        query = query.order_by(*(part.desc() if newest_first else part for part in order))
        rows = await self._connection.execute(query)
        return [
            Document(
                kind=row.kind,
                key=row.key,
                parent=row.parent,
                rank=row.rank,
                value=json.loads(row.value),
            )
            for row in rows
        ]
