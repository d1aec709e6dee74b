"""SQLite without threads: the driver's calls run on the loop, one after the other, when it says so.

``aiosqlite`` hands every call to a thread of the connection. Here it is handed to the loop instead,
so that the order of everything follows from the seed, and a process that is stopped can be left
behind by ``fork``. The database is the real one, in real files.
"""

import asyncio
import random
import shutil
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite.core
import pytest
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.engine.base import Engine as SyncEngine
from sqlalchemy.util import LRUCache

from busbar.runtime.store.engines.sqlite import _PRAGMAS
from faults.loop import LATENCY, VirtualLoop

WRITES = ("BEGIN IMMEDIATE", "INSERT", "UPDATE", "DELETE", "CREATE", "SAVEPOINT", "ROLLBACK TO")
"""Statements that wait for a lock, or change something."""


def _gives_way(function: Callable[[], Any]) -> bool:
    """Return whether the process yields at this call of the driver: at what writes, and at commits.

    Looking changes nothing, neither in the files nor for another process: a process that is stopped
    at a look leaves what it leaves at the await before.
    """
    call = function if isinstance(function, partial) else partial(function)
    match getattr(call.func, "__name__", ""):
        case "commit":
            return True
        case "execute" | "executemany":
            return str(call.args[0]).lstrip().upper().startswith(WRITES)
        case _:
            return False


def _begins_writing(function: Callable[[], Any]) -> bool:
    """Return whether this call of the driver takes the lock of the file."""
    given = function.args if isinstance(function, partial) else ()
    return bool(given) and str(given[0]).lstrip().upper().startswith("BEGIN IMMEDIATE")


class _Calls:
    """A stand-in for the queue of the driver's thread; there is one for each connection."""

    def __init__(self) -> None:
        self._connection: sqlite3.Connection | None = None
        self._flying: dict[asyncio.Future[Any], tuple[asyncio.TimerHandle, Any]] = {}
        self._broken = False
        _OPEN.append(weakref.ref(self))

    def put_nowait(self, call: tuple[asyncio.Future[Any] | None, Callable[[], Any]]) -> None:
        future, function = call
        if future is None:
            function()
            return
        self._connection = _connection_of(function) or self._connection
        if _gives_way(function):
            self._fly(future, function)
        else:
            self._perform(future, function)

    def _perform(self, future: asyncio.Future[Any], function: Callable[[], Any]) -> None:
        self._flying.pop(future, None)
        owner, name = _method(function)
        closes_cursor = isinstance(owner, sqlite3.Cursor) and name == "close"
        if isinstance(owner, sqlite3.Connection) and name in ("rollback", "close"):
            self._broken = False
        if self._broken and not closes_cursor:
            aiosqlite.core.set_exception(future, _was_reset())
            return
        if _begins_writing(function):
            self._begin(future, function)
        else:
            _run(future, function)

    def _begin(self, future: asyncio.Future[Any], function: Callable[[], Any]) -> None:
        """Begin as soon as no other connection writes; waiting in SQLite would stop everybody."""
        try:
            result = function()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                self._fly(future, function)
            else:
                aiosqlite.core.set_exception(future, error)
        else:
            aiosqlite.core.set_result(future, result)

    def _fly(self, future: asyncio.Future[Any], function: Callable[[], Any]) -> None:
        """Perform a call after its latency."""
        loop = future.get_loop()
        delay = loop.dice.random() * LATENCY if isinstance(loop, VirtualLoop) else 0
        handle = loop.call_later(delay, self._perform, future, function)
        self._flying[future] = (handle, function)

    def reset(self, dice: random.Random) -> None:
        """Lose what is on its way, or its answer, and the transaction that is open."""
        for future, (handle, function) in list(self._flying.items()):
            handle.cancel()
            if dice.random() < 0.5:
                with suppress(Exception):
                    function()
            aiosqlite.core.set_exception(future, _was_reset())
        self._flying.clear()
        if self._connection is not None and self._connection.in_transaction:
            self._connection.rollback()
            self._broken = True


_OPEN: list[weakref.ref[_Calls]] = []


def reset_connections(dice: random.Random) -> None:
    """Reset every connection of this process, in the order in which they were opened."""
    for found in _OPEN:
        calls = found()
        if calls is not None:
            calls.reset(dice)


def _was_reset() -> sqlite3.OperationalError:
    return sqlite3.OperationalError("the connection was reset")


def _method(function: Callable[[], Any]) -> tuple[Any, str]:
    """Return the object whose method ``function`` calls, and the name of the method."""
    call = function.func if isinstance(function, partial) else function
    return getattr(call, "__self__", None), str(getattr(call, "__name__", ""))


def _connection_of(function: Callable[[], Any]) -> sqlite3.Connection | None:
    """Return the connection whose method ``function`` calls, or that of its cursor."""
    owner, _ = _method(function)
    found = owner.connection if isinstance(owner, sqlite3.Cursor) else owner
    return found if isinstance(found, sqlite3.Connection) else None


def _run(future: asyncio.Future[Any], function: Callable[[], Any]) -> None:
    try:
        result = function()
    except Exception as error:  # noqa: BLE001 - the driver passes on whatever SQLite says
        aiosqlite.core.set_exception(future, error)
    else:
        aiosqlite.core.set_result(future, result)


class _NoThread:
    def __init__(self, *, target: object, args: object) -> None:
        """There is nothing to run."""

    def start(self) -> None:
        """There is nothing to start."""


@contextmanager
def without_threads() -> Iterator[None]:
    """Have the driver work on the loop."""
    compiled: Any = LRUCache(500)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aiosqlite.core, "SimpleQueue", _Calls)
        patch.setattr(aiosqlite.core, "Thread", _NoThread)
        # Every restart of a process opens its stores again; what is compiled for one fits the next.
        patch.setattr(SQLiteDialect_aiosqlite, "__hash__", lambda _: 1)
        pragmas = ("busy_timeout=0", *(one for one in _PRAGMAS if "busy_timeout" not in one))
        patch.setattr("busbar.runtime.store.engines.sqlite._PRAGMAS", pragmas)
        patch.setattr(
            SQLiteDialect_aiosqlite, "__eq__", lambda _, other: isinstance(other, type(_))
        )
        begin = SyncEngine.__init__

        # SQLAlchemy takes the options of an engine from the names of these parameters.
        def shared(
            engine: SyncEngine,
            pool: Any,
            dialect: Any,
            url: Any,
            hide_parameters: bool = False,  # noqa: FBT001, FBT002 - as in the original
            **named: Any,
        ) -> None:
            begin(engine, pool, dialect, url, hide_parameters=hide_parameters, **named)
            engine._compiled_cache = compiled

        patch.setattr(SyncEngine, "__init__", shared)
        yield


def copy_as_killed(before: Path, after: Path) -> None:
    """Copy what a process that is killed now leaves in ``before`` into another folder.

    A database and its log are what was written so far: a transaction without its commit is in
    neither, or is a tail of the log that SQLite does not read. The index of the log (``-shm``) is
    rebuilt by the first process that opens the database.
    """
    after.mkdir(mode=0o700)
    for file in sorted(before.iterdir()):
        if file.name.endswith((".db", ".db-wal")):
            shutil.copy(file, after / file.name)  # with its mode: secrets must be private


def rewind(database: Path, consumer: str, topic: str) -> None:
    """Have ``consumer``, which is not running, read ``topic`` from the start."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "DELETE FROM offsets WHERE consumer = ? AND topic = ?", (consumer, topic)
        )
