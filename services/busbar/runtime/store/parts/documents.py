"""Projections: JSON documents by kind and key."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Select, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.runtime.store.model.errors import Collision
from busbar.runtime.store.model.json import dumps, loads
from busbar.runtime.store.model.rows import Document
from busbar.runtime.store.schema import tables
from busbar.runtime.store.sql.statements import DocumentRow, Statements


class Documents:
    """Saves and finds documents."""

    def __init__(
        self, connection: AsyncConnection, statements: Statements, *, writing: bool
    ) -> None:
        """Act on ``connection``, inside its transaction.

        ``writing`` keeps what is read from being changed by others before the commit. (On SQLite
        a writer has no others.)
        """
        self._connection = connection
        self._statements = statements
        self._writing = writing
        self._absent: set[tuple[str, str]] = set()
        self._found: dict[str, dict[tuple[Any, ...], list[Document]]] = {}
        self.touched: set[str] = set()
        """What to lock beforehand when the transaction is tried again."""

    async def put(self, document: Document) -> None:
        """Save ``document``, replacing the one of the same kind and key.

        Raises:
            Collision: another writer made it since :meth:`get` found nothing.
        """
        place = (document.kind, document.key)
        self._touch(*place)
        self._found.pop(document.kind, None)
        row = DocumentRow(*place, document.parent, document.rank, dumps(dict(document.value)))
        only_new = place in self._absent
        self._absent.discard(place)
        if not await self._statements.put_document(self._connection, row, only_new=only_new):
            raise Collision(f"another writer made the {document.kind} {document.key}")

    async def get(self, kind: str, key: str) -> Mapping[str, Any] | None:
        """The document of ``kind`` under ``key``."""
        query = select(tables.documents.c.value).where(
            tables.documents.c.kind == kind, tables.documents.c.key == key
        )
        if self._writing:
            self._touch(kind, key)
            query = query.with_for_update()
        value = (await self._connection.execute(query)).scalar()
        if value is None:
            if self._writing:
                self._absent.add((kind, key))
            return None
        return dict(loads(value))

    async def remove(self, kind: str, key: str) -> None:
        """Forget the document of ``kind`` under ``key``."""
        self._touch(kind, key)
        self._found.pop(kind, None)
        await self._connection.execute(
            delete(tables.documents).where(
                tables.documents.c.kind == kind, tables.documents.c.key == key
            )
        )

    async def count(self, kind: str, *, limit: int) -> int:
        """How many documents of ``kind`` there are, counted up to ``limit``."""
        some = select(tables.documents.c.rank).where(tables.documents.c.kind == kind).limit(limit)
        found = await self._connection.execute(select(func.count()).select_from(some.subquery()))
        return int(found.scalar_one())

    def _touch(self, kind: str, key: str) -> None:
        self.touched.add(f"document\n{kind}\n{key}")

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

        A batch that asks the same again has no need of another query.

        ``parent`` keeps those under one parent, ``prefix`` those whose key starts so, ``after``
        those that come after a rank in the order asked for.
        """
        asked = (parent, prefix, after, limit, newest_first)
        known = self._found.setdefault(kind, {})
        if asked not in known:
            known[asked] = await self._find(kind, *asked)
        return known[asked]

    async def parents(self, kind: str, among: Collection[str]) -> set[str]:
        """Those ``among`` the given that documents of ``kind`` have as their parent."""
        if not among:
            return set()
        column = tables.documents.c
        query = select(column.parent).where(column.kind == kind, column.parent.in_(sorted(among)))
        return set((await self._connection.execute(query.distinct())).scalars())

    async def _find(  # noqa: PLR0917 - what find() was asked
        self,
        kind: str,
        parent: str | None,
        prefix: str | None,
        after: str | None,
        limit: int,
        newest_first: bool,  # noqa: FBT001 - the same
    ) -> list[Document]:
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
                value=loads(row.value),
            )
            for row in rows
        ]
