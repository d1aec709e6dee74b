"""The database of secrets: transactions that run to their end."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.schema import Table

from busbar.runtime.core.shielding import shield_until_done
from busbar.runtime.store import Collision, StoreUnavailable
from busbar.runtime.store.engines.sqlite import BEGIN, READING, WRITING
from busbar.runtime.store.store import connected

Result = TypeVar("Result")
Watch = Callable[[], Coroutine[Any, Any, None]]
Connect = Callable[[], Awaitable[tuple[AsyncEngine, Watch | None]]]
"""Returns an engine, and what watches its connections if they lead to a server."""


class SecretDatabase:
    """Runs transactions in the database of secrets, which is connected on first use.

    Every method raises :class:`StoreUnavailable` if the database is unreachable.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._engine: AsyncEngine | None = None
        self._watching: asyncio.Task[None] | None = None
        """Closes connections whose other end is gone; None if there are only files."""
        self._connecting = asyncio.Lock()
        self._running: set[asyncio.Task[Any]] = set()

    async def connect(self) -> None:
        """Connect to the database now, to find out early if that fails."""
        await self._connected_engine()

    async def read(self, body: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        """Run ``body`` in one transaction that only reads."""
        return await self._run(body, READING)

    async def write(self, body: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        """Run ``body`` in one transaction; it is durable on return."""
        return await self._run(body, WRITING)

    async def truncate_log(self) -> None:
        """Let the log of SQLite forget what earlier transactions have deleted.

        The log keeps a page as it was before, until it is full. PostgreSQL cleans up by itself.
        """
        await self._to_end(self._truncate_log())

    async def close(self) -> None:
        """Wait for running transactions, then close every connection."""
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        if self._engine is not None:
            await self._engine.dispose()

    async def _run(
        self, body: Callable[[AsyncConnection], Awaitable[Result]], begin: str
    ) -> Result:
        return await self._to_end(self._transact(body, begin))

    async def _to_end(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run ``work`` to completion even if the caller is cancelled.

        A driver that is interrupted between two statements would keep the file locked, and a
        caller that did not wait could see its next call run before this one.
        """
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await shield_until_done(task)

    async def _transact(
        self, body: Callable[[AsyncConnection], Awaitable[Result]], begin: str
    ) -> Result:
        engine = (await self._connected_engine()).execution_options(**{BEGIN: begin})
        try:
            async with connected(engine) as connection, connection.begin():
                return await body(connection)
        except Collision as error:
            raise StoreUnavailable("the secret table is locked by another writer") from error

    async def _truncate_log(self) -> None:
        engine = await self._connected_engine()
        if engine.dialect.name != "sqlite":
            return
        async with connected(engine) as connection:
            raw: Any = (await connection.get_raw_connection()).driver_connection
            try:
                # Past SQLAlchemy, which would begin a transaction.
                async with raw.execute("PRAGMA wal_checkpoint(TRUNCATE)") as cursor:
                    busy, *_ = await cursor.fetchone()
            except sqlite3.OperationalError as error:
                raise StoreUnavailable("the secret table cannot be cleaned up") from error
        if busy:
            raise StoreUnavailable("the secret table is in use, so it cannot be cleaned up")

    async def _connected_engine(self) -> AsyncEngine:
        async with self._connecting:
            if self._engine is None:
                self._engine, watch = await self._connect()
                if watch is not None:
                    self._watching = asyncio.create_task(watch())
            return self._engine


def insert_into(table: Table, connection: AsyncConnection) -> Any:
    """Return an ``INSERT`` with ``on_conflict_…`` in the dialect of ``connection``."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)
