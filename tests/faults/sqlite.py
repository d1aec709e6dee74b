"""SQLite without threads: the driver's calls run on the loop, one after the other, when it says so.

``aiosqlite`` hands every call to a thread of the connection. Here it is handed to the loop instead,
so that the order of everything follows from the seed, and a process that is stopped can be left
behind by ``fork``. The database is the real one, in real files.
"""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite.core
import pytest
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.engine.base import Engine as SyncEngine
from sqlalchemy.util import LRUCache

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


class _Calls:
    """A stand-in for the queue of the driver's thread."""

    def put_nowait(self, call: tuple[asyncio.Future[Any] | None, Callable[[], Any]]) -> None:
        future, function = call
        if future is None:
            function()
            return
        if not _gives_way(function):
            _run(future, function)
            return
        loop = future.get_loop()
        delay = loop.dice.random() * LATENCY if isinstance(loop, VirtualLoop) else 0
        loop.call_later(delay, _run, future, function)


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
        patch.setattr(
            SQLiteDialect_aiosqlite, "__eq__", lambda _, other: isinstance(other, type(_))
        )
        begin = SyncEngine.__init__

        def shared(engine: SyncEngine, *given: Any, **named: Any) -> None:
            begin(engine, *given, **named)
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
            shutil.copyfile(file, after / file.name)
