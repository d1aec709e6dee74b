"""PostgreSQL's driver, spoken to directly: transactions, and what is executed for every batch.

SQLAlchemy has the pool, the schema and every statement that is put together. For one that never
changes it does nothing but cost as much as the driver and the server together (ADR 17).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import asyncpg
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.runtime.store.model.errors import Collision, StoreUnavailable

UNAVAILABLE = ("08", "53", "57", "58", "25P03", "25006")
"""SQLSTATEs, or how they begin, of a database that is away, full, shutting down or a standby's.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""
COLLIDED = ("40001", "40P01", "55P03")
"""SQLSTATEs of a serialization failure, a deadlock and a lock that was not to be had."""

_open: dict[AsyncConnection, Any] = {}
"""The driver's own connection of each transaction. SQLAlchemy would get another one after an error,
on which nothing has begun."""

_DRIVERS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_ERRORS = (*_DRIVERS, OSError)
"""The driver loses its place (``InternalClientError``) when a server ends a connection just as
something is to be executed on it."""


async def fetch(connection: AsyncConnection, statement: str, *values: Any) -> list[Any]:
    """The rows that ``statement`` gives for ``values``, which it calls $1, $2 and so on.

    It is part of the transaction that :func:`transaction` has begun on ``connection``.

    Raises:
        IntegrityError: a constraint does not allow it.
        Collision: another transaction is in the way.
        StoreAwayError: the database is away.
    """
    driver = _open[connection]
    try:
        rows: list[Any] = await driver.fetch(statement, *values)
    except _ERRORS as error:
        raise _translate(error, driver) from None
    return rows


async def execute(connection: AsyncConnection, statement: str, *values: Any) -> int:
    """How many rows ``statement`` has changed; raises as :func:`fetch` does."""
    driver = _open[connection]
    try:
        status: str = await driver.execute(statement, *values)
    except _ERRORS as error:
        raise _translate(error, driver) from None
    return int(status.rpartition(" ")[2])


@asynccontextmanager
async def transaction(
    connection: AsyncConnection,
    isolation: Literal["read_committed", "repeatable_read"],
    *,
    readonly: bool = False,
) -> AsyncIterator[None]:
    """A transaction around all that is executed on ``connection`` inside the block.

    SQLAlchemy must not begin one of its own there (``AUTOCOMMIT``).
    """
    driver = (await connection.get_raw_connection()).driver_connection
    if driver is None:
        raise StoreUnavailable("the database is away (no connection)")
    begun = driver.transaction(isolation=isolation, readonly=readonly)
    _open[connection] = driver
    try:
        await begun.start()
        try:
            yield
        except Exception:
            await _undo(begun, connection)
            raise
        await begun.commit()
    except _DRIVERS as error:
        raise _translate(error, driver) from None
    except Exception:
        raise
    except BaseException:
        # Cancelled in the middle of a statement: the server is told to end it, and if it is told
        # late it ends what comes next on this connection.
        await connection.invalidate()
        raise
    finally:
        del _open[connection]
        if driver.is_closed():
            await connection.invalidate()


async def _undo(begun: Any, connection: AsyncConnection) -> None:
    """Roll back. If that fails, the connection ends; the caller has to hear why it was begun."""
    try:
        await begun.rollback()
    except _ERRORS:
        await connection.invalidate()


def error_of_sqlstate(state: str, *, is_down: bool) -> StoreUnavailable | Collision | None:
    """What the SQLSTATE ``state`` means to whoever tries again; None if that would not help.

    It does not matter what the state is if the connection ``is_down``.
    """
    if is_down or state.startswith(UNAVAILABLE):
        return StoreUnavailable(f"the database is away ({state or 'no answer'})")
    if state in COLLIDED:
        return Collision(f"another transaction is in the way ({state})")
    return None


def _translate(error: BaseException, driver: Any) -> Exception:
    """What the store makes of the driver's ``error``, whose text may hold what was to be stored."""
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return Collision("the schema has changed")  # what was prepared is forgotten now
    state = str(getattr(error, "sqlstate", None) or "")
    is_down = driver.is_closed() or isinstance(error, OSError | asyncpg.InternalClientError)
    again = error_of_sqlstate(state, is_down=is_down)
    if again is not None:
        return again
    kind = IntegrityError if state.startswith("23") else DBAPIError
    return kind(None, None, Exception(f"{type(error).__name__} ({state or 'no SQLSTATE'})"))
