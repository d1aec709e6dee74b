"""A store in a SQLite file: one process, one writer, and row order is commit order."""

import errno
import sqlite3
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event, update
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from busbar.kernel.clock import Clock
from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.locks import FileLock
from busbar.runtime.store.model.errors import StoreFull, StoreUnavailable
from busbar.runtime.store.schema import tables
from busbar.runtime.store.sql.dialect import Condition
from busbar.runtime.store.sql.sqlite import SqliteStatements
from busbar.runtime.store.sql.statements import Statements
from busbar.runtime.store.store import RELAY, Store, connected
from busbar.runtime.telemetry.reachability import Reachability

BEGIN: Final = "busbar_begin"
"""Execution option with the statement that begins a transaction."""

READING: Final = "BEGIN"
WRITING: Final = "BEGIN IMMEDIATE"

_PRAGMAS: Final = ("busy_timeout=5000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")


class SqliteDialect:
    """The dialect of SQLite. A writer locks the whole file, so most methods have nothing to do."""

    one_writer = True
    statements: Statements = SqliteStatements()

    def writing(self, connection: AsyncConnection) -> AbstractAsyncContextManager[Any]:
        """Return a transaction that excludes every other writer from its beginning."""
        return connection.begin()

    def reading(self, connection: AsyncConnection) -> AbstractAsyncContextManager[Any]:
        """Return a transaction that reads one snapshot, taken at its first statement."""
        return connection.begin()

    async def now(self, _connection: AsyncConnection, clock: Clock) -> datetime:
        """Return the process's own time: no other process uses the file."""
        return clock.now()

    async def lock(self, _connection: AsyncConnection, _service: str, _streams: set[str]) -> None:
        """Do nothing: ``BEGIN IMMEDIATE`` has locked the file."""

    async def try_lock(
        self, _connection: AsyncConnection, _service: str, _streams: Collection[str]
    ) -> int:
        """Return 0: the file is locked, and SQLite does not number transactions."""
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
        """Return a comparison of positions, which are assigned in commit order."""
        return tables.events.c.position > position

    def not_yet_visible(self) -> Condition | None:
        """Return None: every committed event is visible."""
        return None

    def order(self) -> tuple[Any, ...]:
        """Return the row order, which is commit order."""
        return (tables.events.c.position,)


def sqlite_store(path: Path, *, service: str, clock: Clock) -> Store:
    """Return the SQLite store of ``service`` at ``path``, to be connected.

    :meth:`Store.connect` creates the file on first use, and raises :class:`ConfigurationError` if
    another process has it open: on SQLite a service runs once.
    """
    url = f"sqlite+aiosqlite:///{path}"
    writer = create_async_engine(url, pool_size=1, max_overflow=0)
    reader = create_async_engine(url, pool_size=4, max_overflow=4)
    prepare_engine(writer, begin=WRITING)
    prepare_engine(reader)
    return Store(
        service=service,
        writer=writer,
        reader=reader,
        clock=clock,
        dialect=SqliteDialect(),
        prepare=partial(_prepare, path, writer),
        reachability=Reachability("the database file", clock),
    )


async def _prepare(path: Path, writer: AsyncEngine) -> Callable[[], None]:
    """Lock the file and create the tables; return what releases the lock."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _lock(path)
    except OSError as error:
        raise _unavailable(error) from error
    try:
        _make_private(path)
        async with connected(writer) as connection, connection.begin():
            await connection.run_sync(tables.metadata.create_all)
            # This process has the file to itself, so an earlier relay has ended and its lease is
            # void. (Sagas keep their leases: a request of a dead process to a backend may still be
            # running.)
            await connection.execute(
                update(tables.tasks)
                .where(tables.tasks.c.kind == RELAY)
                .values(holder=None, expires=None)
            )
    except OSError as error:
        lock.release()
        raise error if isinstance(error, StoreUnavailable) else _unavailable(error) from error
    except BaseException:
        lock.release()
        raise
    return lock.release


def _make_private(path: Path) -> None:
    """Set the mode before SQLite opens the file: its -wal and -shm files take over the mode."""
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


def prepare_engine(
    engine: AsyncEngine, *, begin: str = READING, pragmas: Collection[str] = ()
) -> None:
    """Make connections durable (WAL, full fsync) and translate their errors.

    Transactions begin with the statement ``begin``, or with that of the execution option
    :data:`BEGIN`. Each connection begins with ``pragmas`` too. SQLite's errors are raised as
    :class:`StoreUnavailable`.
    """

    @event.listens_for(engine.sync_engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin or commit by itself
        try:
            cursor = connection.cursor()
            for pragma in (*_PRAGMAS, *pragmas):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()
        except (sqlite3.OperationalError, DBAPIError) as error:
            raise _unavailable(error) from error

    @event.listens_for(engine.sync_engine, "handle_error")
    def _translate(context: ExceptionContext) -> None:
        error = context.original_exception
        if isinstance(error, sqlite3.OperationalError | sqlite3.InterfaceError | OSError):
            raise _unavailable(error) from error

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(BEGIN, begin))


def _unavailable(error: Exception) -> StoreUnavailable:
    """Return the error of the store for one of SQLite or of the operating system."""
    is_full = "disk is full" in str(error) or getattr(error, "errno", None) == errno.ENOSPC
    kind = StoreFull if is_full else StoreUnavailable
    return kind(f"the database file is unavailable ({error})", reason=str(error))
