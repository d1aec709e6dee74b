"""Projections: JSON documents by kind and key."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Select, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.runtime.store.model.errors import Collision
from busbar.runtime.store.model.json import dumps, loads
from busbar.runtime.store.model.rows import Document
from busbar.runtime.store.schema import tables
from busbar.runtime.store.schema.tables import LAST
from busbar.runtime.store.sql.statements import DocumentRow, Statements


class Documents:
    """The documents of a service, as one transaction sees them."""

    def __init__(
        self, connection: AsyncConnection, statements: Statements, *, writing: bool
    ) -> None:
        """Work on ``connection``, inside its transaction.

        With ``writing``, documents that are read stay locked until the commit. (On SQLite, a
        writer has locked everything.)
        """
        self._connection = connection
        self._statements = statements
        self._writing = writing
        self._absent: set[tuple[str, str]] = set()
        self._found: dict[str, dict[tuple[Any, ...], list[Document]]] = {}
        self.touched: set[str] = set()
        """Names to lock beforehand when the transaction is retried."""

    async def put(self, document: Document) -> None:
        """Save ``document``, replacing the one of the same kind and key.

        Raises:
            Collision: another writer created it since :meth:`get` returned None.
        """
        identity = (document.kind, document.key)
        self._touch(*identity)
        self._found.pop(document.kind, None)
        row = DocumentRow(*identity, document.parent, document.rank, dumps(dict(document.value)))
        only_new = identity in self._absent
        self._absent.discard(identity)
        if not await self._statements.put_document(self._connection, row, only_new=only_new):
            raise Collision(f"another writer created the {document.kind} {document.key}")

    async def put_all(self, documents: Collection[Document]) -> None:
        """Save ``documents`` in one statement, each replacing the one of the same kind and key.

        Whatever others wrote to them since they were read is lost, so only a single writer may
        use it.
        """
        rows = []
        for document in documents:
            self._touch(document.kind, document.key)
            self._found.pop(document.kind, None)
            self._absent.discard((document.kind, document.key))
            value = dumps(dict(document.value))
            rows.append(
                DocumentRow(document.kind, document.key, document.parent, document.rank, value)
            )
        if rows:
            await self._statements.put_documents(self._connection, rows)

    async def get_all(self, kind: str, keys: Collection[str]) -> dict[str, Mapping[str, Any]]:
        """Return the documents of ``kind`` that exist under ``keys``, read in one query.

        They are not locked: see :meth:`put_all`.
        """
        column = tables.documents.c
        query = select(column.key, column.value).where(
            column.kind == kind, column.key.in_(sorted(keys))
        )
        rows = await self._connection.execute(query) if keys else ()
        return {row.key: dict(loads(row.value)) for row in rows}

    async def get(self, kind: str, key: str) -> Mapping[str, Any] | None:
        """Return the document of ``kind`` under ``key``, or None; lock it if ``writing``."""
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
        """Delete the document of ``kind`` under ``key``."""
        self._touch(kind, key)
        self._found.pop(kind, None)
        await self._connection.execute(
            delete(tables.documents).where(
                tables.documents.c.kind == kind, tables.documents.c.key == key
            )
        )

    async def count(self, kind: str, *, limit: int) -> int:
        """Count the documents of ``kind``, up to ``limit``."""
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
        """Return documents of ``kind`` in the order of their rank.

        The same call is answered without a query until a document of the kind changes.

        ``parent`` selects those under one parent, ``prefix`` those whose rank starts with it,
        ``after`` those that follow a rank in the requested order.
        """
        filters = (parent, prefix, after, limit, newest_first)
        known = self._found.setdefault(kind, {})
        if filters not in known:
            known[filters] = await self._find(kind, *filters)
        return known[filters]

    async def parents(self, kind: str, among: Collection[str]) -> set[str]:
        """Return those of ``among`` under which there is a document of ``kind``."""
        if not among:
            return set()
        column = tables.documents.c
        query = select(column.parent).where(column.kind == kind, column.parent.in_(sorted(among)))
        return set((await self._connection.execute(query.distinct())).scalars())

    async def _find(  # noqa: PLR0917 - the filters of find()
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
            query = query.where(column.rank >= prefix, column.rank < prefix + LAST)
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
