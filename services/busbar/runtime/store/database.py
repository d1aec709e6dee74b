"""Opening a store and running transactions on it."""

import asyncio
import fcntl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import event, func, select, update
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from busbar.kernel.clock import Clock
from busbar.kernel.errors import ConfigurationError
from busbar.runtime.store import tables
from busbar.runtime.store.rows import Claim, StoredEvent, Written
from busbar.runtime.store.transaction import Transaction

Result = TypeVar("Result")

RELAY = "relay"
"""The task whose lease says who publishes a store's events."""
Listener = Callable[[Written], None]

STORE_AWAY = (OperationalError, InterfaceError, PoolTimeoutError, OSError)
"""What says that the database is away. A statement that it refuses is the caller's fault."""


class Store:
    """One service's event store. Writers queue up; readers see the last commit."""

    def __init__(
        self, *, service: str, writer: AsyncEngine, reader: AsyncEngine, clock: Clock, lock: Any
    ) -> None:
        """Use :func:`open_store`."""
        self.service = service
        self.clock = clock
        self._writer = writer
        self._reader = reader
        self._file_lock = lock
        self._turn = asyncio.Lock()
        self._listeners: list[Listener] = []

    def on_commit(self, listener: Listener) -> None:
        """Have ``listener`` called after every commit."""
        self._listeners.append(listener)

    async def transact(
        self, body: Callable[[Transaction], Awaitable[Result]], *, fence: Claim | None = None
    ) -> Result:
        """Run ``body`` in one transaction; ``fence`` has to be held still when it commits.

        A transaction that has begun is ended even if the caller is cancelled: a driver that is
        interrupted between two statements would keep the lock of the whole store.

        Raises:
            Conflict: another writer was first; run it again.
            Fenced: ``fence`` is held by another process now.
        """
        return await _to_its_end(asyncio.create_task(self._transact(body, fence)))

    async def _transact(
        self, body: Callable[[Transaction], Awaitable[Result]], fence: Claim | None
    ) -> Result:
        async with self._turn, self._writer.connect() as connection, connection.begin():
            transaction = Transaction(connection, service=self.service, now=self.clock.now())
            if fence is not None:
                await transaction.tasks.hold(fence)
            result = await body(transaction)
            await transaction.flush()
        for listener in self._listeners:
            listener(transaction.written)
        return result

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """A consistent view for reading; what is appended to it is forgotten."""
        async with self._reader.connect() as connection:
            yield Transaction(connection, service=self.service, now=self.clock.now())

    async def events(
        self,
        *,
        after: int = 0,
        limit: int = 500,
        key: str | None = None,
        correlation: str | None = None,
    ) -> list[StoredEvent]:
        """Events in commit order, from the one after position ``after``.

        ``key`` and ``correlation`` keep those of one resource or one operation.
        """
        query = select(tables.events).where(tables.events.c.position > after)
        if key is not None:
            query = query.where(tables.events.c.key == key)
        if correlation is not None:
            query = query.where(tables.events.c.correlation == correlation)
        async with self.reading() as transaction:
            rows = await transaction.execute(query.order_by(tables.events.c.position).limit(limit))
        return [StoredEvent(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name

    async def last_position(self) -> int:
        """The position of the newest event; 0 if there is none."""
        async with self.reading() as transaction:
            found = await transaction.execute(select(func.max(tables.events.c.position)))
            return found.scalar() or 0

    async def alive(self) -> bool:
        """Whether the database answers."""
        try:
            async with self.reading() as transaction:
                await transaction.execute(select(1))
        except (DBAPIError, OSError):
            return False
        return True

    async def close(self) -> None:
        """Close every connection and let go of the file."""
        await self._writer.dispose()
        await self._reader.dispose()
        if self._file_lock is not None:
            self._file_lock.close()


async def _to_its_end(task: asyncio.Task[Result]) -> Result:
    """The result of ``task``; a cancellation is passed on when the task has ended."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
        except BaseException:  # noqa: BLE001 - it is the task's, and raised below
            break
    if cancelled is not None:
        task.exception()  # seen, since the caller will not hear of it
        raise cancelled
    return task.result()


async def open_store(path: Path, *, service: str, clock: Clock) -> Store:
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
    return Store(service=service, writer=writer, reader=reader, clock=clock, lock=lock)


def _make_private(path: Path) -> None:
    """Before SQLite opens it, as its -wal and -shm files take over the mode."""
    path.touch(mode=0o600)
    path.chmod(0o600)


def _lock(path: Path) -> Any:
    place = path.with_suffix(".lock")
    _make_private(place)
    handle = place.open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise ConfigurationError(
            f"Another process has the store {path} open.",
            fix="On SQLite a service runs once: stop the other one, or give this one another home.",
        ) from error
    return handle


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

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)


__all__ = ["AsyncConnection", "Store", "open_store"]
