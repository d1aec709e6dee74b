"""The store in a SQLite file: one process, one writer, row order is commit order."""

import sqlite3
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event, update
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from busbar.kernel.clock import Clock
from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.locks import FileLock
from busbar.runtime.store.model.errors import StoreUnavailable
from busbar.runtime.store.schema import tables
from busbar.runtime.store.sql.dialect import Condition
from busbar.runtime.store.sql.sqlite import SqliteStatements
from busbar.runtime.store.sql.statements import Statements
from busbar.runtime.store.store import RELAY, Store


class SqliteDialect:
    """SQLite locks the whole file for whoever writes, so most of this is nothing."""

    one_writer = True
    statements: Statements = SqliteStatements()

    def writing(self, connection: AsyncConnection) -> AbstractAsyncContextManager[Any]:
        """The engine begins it so that nobody else may write."""
        return connection.begin()

    def reading(self, connection: AsyncConnection) -> AbstractAsyncContextManager[Any]:
        """Whatever is read is of the moment of the first statement."""
        return connection.begin()

    async def now(self, _connection: AsyncConnection, clock: Clock) -> datetime:
        """The process's own time: there is no other process."""
        return clock.now()

    async def lock(self, _connection: AsyncConnection, _service: str, _streams: set[str]) -> None:
        """``BEGIN IMMEDIATE`` has locked everything."""

    async def try_lock(
        self, _connection: AsyncConnection, _service: str, _streams: Collection[str]
    ) -> int:
        """Nothing to lock, and no numbers."""
        return 0

    async def terminate_stalled_sessions(
        self,
        _connection: AsyncConnection,
        *,
        after: timedelta,  # noqa: ARG002 - part of the protocol
    ) -> int:
        """Return 0: no other process has the file open."""
        return 0

    def committed_after(self, position: int) -> Condition:
        """Compare positions, which are given in commit order."""
        return tables.events.c.position > position

    def not_yet_visible(self) -> Condition | None:
        """What is committed can be read."""
        return None

    def order(self) -> tuple[Any, ...]:
        """Row order is commit order."""
        return (tables.events.c.position,)


async def open_sqlite(path: Path, *, service: str, clock: Clock) -> Store:
    """Open (and on first use make) the SQLite store of ``service`` at ``path``.

    Raises:
        ConfigurationError: another process has it open; on SQLite a service runs once.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = _lock(path)
    _make_private(path)
    url = f"sqlite+aiosqlite:///{path}"
    writer = create_async_engine(url, pool_size=1, max_overflow=0)
    reader = create_async_engine(url, pool_size=4, max_overflow=4)
    _prepare(writer, begin="BEGIN IMMEDIATE")
    _prepare(reader, begin="BEGIN")
    async with writer.begin() as connection:
        await connection.run_sync(tables.metadata.create_all)
        # The file is ours alone, so whoever published from it before is dead. (Sagas keep their
        # leases: what a dead process asked a backend for may still be under way.)
        await connection.execute(
            update(tables.tasks)
            .where(tables.tasks.c.kind == RELAY)
            .values(holder=None, expires=None)
        )
    return Store(
        service=service,
        writer=writer,
        reader=reader,
        clock=clock,
        lock=lock,
        dialect=SqliteDialect(),
    )


def _make_private(path: Path) -> None:
    """Before SQLite opens it, as its -wal and -shm files take over the mode."""
    path.touch(mode=0o600)
    path.chmod(0o600)


def _lock(path: Path) -> FileLock:
    lock = FileLock(path.with_suffix(".lock"))
    if not lock.try_acquire():
        raise ConfigurationError(
            f"Another process has the store {path} open.",
            fix="On SQLite a service runs once: stop the other one, or give this one another home.",
        )
    return lock


def _prepare(engine: AsyncEngine, *, begin: str) -> None:
    """Make SQLite keep its promises: WAL, full fsync, and transactions that really begin."""

    @event.listens_for(engine.sync_engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin or commit by itself
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "busy_timeout=5000",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "handle_error")
    def _translate(context: ExceptionContext) -> None:
        error = context.original_exception
        if isinstance(error, sqlite3.OperationalError | sqlite3.InterfaceError | OSError):
            raise StoreUnavailable(f"the database file is unavailable ({error})") from error

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)
