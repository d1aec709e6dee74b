"""Direct use of PostgreSQL's driver, for transactions and the statements of every batch.

SQLAlchemy manages the pool, the schema and statements that are composed. For constant statements
it would only add overhead, as much as driver and server take together (ADR 17).
"""

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

import asyncpg
from asyncpg.exceptions import TargetServerAttributeNotMatched
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.runtime.store.model.errors import Collision, StoreFull, StoreUnavailable

UNAVAILABLE = {
    "08": "the connection is lost",
    "53100": "its disk is full",
    "53200": "it is out of memory",
    "53300": "it has too many connections",
    "53": "it lacks resources",
    "57P01": "it ended the connection",
    "57P02": "it has crashed",
    "57P03": "it is starting or stopping",
    "57P05": "it ended an idle connection",
    "57": "it cancelled the statement",
    "58": "it has a system error",
    "25P03": "it ended an idle transaction",
    "25006": "it is a standby",
}
"""SQLSTATEs (or their prefixes) of a database that cannot serve now, with what they mean.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""
COLLIDED = ("40001", "40P01", "55P03")
"""SQLSTATEs of a serialization failure, a deadlock and a lock that is not available."""

_drivers: dict[AsyncConnection, Any] = {}
"""The driver's connection of each open transaction.

After an error, SQLAlchemy would take another one, on which no transaction has begun.
"""

_busy_since: dict[Any, float] = {}
"""Since when (monotonic seconds) a transaction has been open on a connection of the driver."""

ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,  # TimeoutError included
    EOFError,
    RuntimeError,  # uvloop: the transport of the connection is closed
)
"""Errors to translate: those of the driver, and those that end its connection."""


async def fetch(connection: AsyncConnection, statement: str, *values: Any) -> list[Any]:
    """Return the rows of ``statement`` with the parameters ``values`` ($1, $2 and so on).

    It runs in the transaction that :func:`transaction` has begun on ``connection``.

    Raises:
        IntegrityError: a constraint is violated.
        Collision: another transaction is in the way.
        StoreUnavailable: the database is unreachable.
    """
    driver = _drivers[connection]
    try:
        rows: list[Any] = await driver.fetch(statement, *values)
    except ERRORS as error:
        raise _translate(error, driver) from None
    return rows


async def execute(connection: AsyncConnection, statement: str, *values: Any) -> int:
    """Execute ``statement`` and return the number of changed rows; raises as :func:`fetch` does."""
    driver = _drivers[connection]
    try:
        status: str = await driver.execute(statement, *values)
    except ERRORS as error:
        raise _translate(error, driver) from None
    return int(status.rpartition(" ")[2])


@asynccontextmanager
async def transaction(
    connection: AsyncConnection,
    isolation: Literal["read_committed", "repeatable_read"],
    *,
    readonly: bool = False,
) -> AsyncIterator[None]:
    """Run what is executed on ``connection`` inside the block in one transaction.

    SQLAlchemy must not begin its own there (``AUTOCOMMIT``).
    """
    driver = await _driver_of(connection)
    begun = driver.transaction(isolation=isolation, readonly=readonly)
    _drivers[connection] = driver
    _busy_since[driver] = time.monotonic()
    try:
        await _run(begun.start, driver)
        try:
            yield
        except Exception as error:
            await _roll_back(begun, connection)
            if driver.is_closed() and isinstance(error, DBAPIError):
                raise _translate(error, driver) from None
            raise
        await _run(begun.commit, driver)
    except Exception:
        raise
    except BaseException:
        # Cancelled in the middle of a statement: the driver asks the server to end it, and a late
        # request would end the next statement on this connection.
        await connection.invalidate()
        raise
    finally:
        del _drivers[connection]
        del _busy_since[driver]
        if driver.is_closed():
            await connection.invalidate()


def busy_since(driver: Any) -> float | None:
    """Return since when a transaction has been open on ``driver``; None if there is none."""
    return _busy_since.get(driver)


async def _driver_of(connection: AsyncConnection) -> Any:
    """Return the driver's connection, which is open as far as this side knows."""
    try:
        driver = (await connection.get_raw_connection()).driver_connection
    except (DBAPIError, InvalidRequestError) as error:
        raise unreachable("no connection") from error
    if driver is None or driver.is_closed():
        await connection.invalidate()
        raise unreachable("the connection is lost")
    return driver


async def _run(step: Callable[[], Awaitable[None]], driver: Any) -> None:
    try:
        await step()
    except ERRORS as error:
        raise _translate(error, driver) from None


async def _roll_back(begun: Any, connection: AsyncConnection) -> None:
    """Roll back, or close the connection if that fails, so that the first error is raised."""
    try:
        await begun.rollback()
    except ERRORS:
        await connection.invalidate()


def error_of_sqlstate(state: str, *, is_down: bool) -> StoreUnavailable | Collision | None:
    """Return the error to raise for the SQLSTATE ``state``; None if a retry would not help.

    If the connection ``is_down``, the state does not matter.
    """
    meaning = _meaning(state)
    if is_down or meaning is not None:
        reason = meaning or ("the connection is lost" if not state else f"SQLSTATE {state}")
        return unreachable(reason)
    if state in COLLIDED:
        return Collision(f"another transaction is in the way ({state})")
    return None


def unreachable(reason: str) -> StoreUnavailable:
    """Return the error to raise for a database that is unreachable for ``reason``."""
    kind = StoreFull if reason == UNAVAILABLE["53100"] else StoreUnavailable
    return kind(f"the database is unreachable ({reason})", reason=reason)


def _meaning(state: str) -> str | None:
    """Return what the SQLSTATE ``state`` says about a database that cannot serve now, or None."""
    for prefix, meaning in UNAVAILABLE.items():
        if state.startswith(prefix):
            return meaning
    return None


def reason_of(error: BaseException) -> str:
    """Return why the database is unreachable, by the ``error`` of an attempt to connect.

    The error's own text is not used, as the driver quotes parts of the URL.
    """
    if isinstance(error, StoreUnavailable):
        return error.reason
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, TargetServerAttributeNotMatched):
        return "it is a standby"
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    return _meaning(str(getattr(error, "sqlstate", None) or "")) or type(error).__name__


def _translate(error: BaseException, driver: Any) -> Exception:
    """Translate the driver's ``error`` without its text, which may contain stored values."""
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return Collision("the schema has changed")  # the driver has dropped its prepared statements
    state = str(getattr(error, "sqlstate", None) or "")
    is_down = driver.is_closed() or isinstance(
        error, OSError | EOFError | RuntimeError | asyncpg.InternalClientError
    )
    if is_down and not driver.is_closed():
        driver.terminate()  # what it still waits for must not answer the next statement
    translated = error_of_sqlstate(state, is_down=is_down)
    if translated is not None:
        return translated
    kind = IntegrityError if state.startswith("23") else DBAPIError
    return kind(None, None, Exception(f"{type(error).__name__} ({state or 'no SQLSTATE'})"))
