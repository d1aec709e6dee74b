"""Direct use of PostgreSQL's driver, for transactions and the statements of every batch.

SQLAlchemy manages the pool, the schema and statements that are composed. For constant statements
it would only add overhead, as much as driver and server take together (ADR 17).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import asyncpg
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.runtime.store.model.errors import Collision, StoreUnavailable

UNAVAILABLE = ("08", "53", "57", "58", "25P03", "25006")
"""SQLSTATEs (or their prefixes) of a database that is unreachable, full, stopping or a standby.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""
COLLIDED = ("40001", "40P01", "55P03")
"""SQLSTATEs of a serialization failure, a deadlock and a lock that is not available."""

_drivers: dict[AsyncConnection, Any] = {}
"""The driver's connection of each open transaction.

After an error, SQLAlchemy would take another one, on which no transaction has begun.
"""

_DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_ERRORS = (*_DRIVER_ERRORS, OSError)
"""Errors to translate.

The driver raises ``InternalClientError`` if the server ends a connection while a statement starts.
"""


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
    except _ERRORS as error:
        raise _translate(error, driver) from None
    return rows


async def execute(connection: AsyncConnection, statement: str, *values: Any) -> int:
    """Execute ``statement`` and return the number of changed rows; raises as :func:`fetch` does."""
    driver = _drivers[connection]
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
    """Run what is executed on ``connection`` inside the block in one transaction.

    SQLAlchemy must not begin its own there (``AUTOCOMMIT``).
    """
    driver = (await connection.get_raw_connection()).driver_connection
    if driver is None:
        raise StoreUnavailable("the database is unreachable (no connection)")
    begun = driver.transaction(isolation=isolation, readonly=readonly)
    _drivers[connection] = driver
    try:
        await begun.start()
        try:
            yield
        except Exception:
            await _roll_back(begun, connection)
            raise
        await begun.commit()
    except _DRIVER_ERRORS as error:
        raise _translate(error, driver) from None
    except Exception:
        raise
    except BaseException:
        # Cancelled in the middle of a statement: the driver asks the server to end it, and a late
        # request would end the next statement on this connection.
        await connection.invalidate()
        raise
    finally:
        del _drivers[connection]
        if driver.is_closed():
            await connection.invalidate()


async def _roll_back(begun: Any, connection: AsyncConnection) -> None:
    """Roll back, or close the connection if that fails, so that the first error is raised."""
    try:
        await begun.rollback()
    except _ERRORS:
        await connection.invalidate()


def error_of_sqlstate(state: str, *, is_down: bool) -> StoreUnavailable | Collision | None:
    """Return the error to raise for the SQLSTATE ``state``; None if a retry would not help.

    If the connection ``is_down``, the state does not matter.
    """
    if is_down or state.startswith(UNAVAILABLE):
        return StoreUnavailable(f"the database is unreachable ({state or 'no answer'})")
    if state in COLLIDED:
        return Collision(f"another transaction is in the way ({state})")
    return None


def _translate(error: BaseException, driver: Any) -> Exception:
    """Translate the driver's ``error`` without its text, which may contain stored values."""
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return Collision("the schema has changed")  # the driver has dropped its prepared statements
    state = str(getattr(error, "sqlstate", None) or "")
    is_down = driver.is_closed() or isinstance(error, OSError | asyncpg.InternalClientError)
    translated = error_of_sqlstate(state, is_down=is_down)
    if translated is not None:
        return translated
    kind = IntegrityError if state.startswith("23") else DBAPIError
    return kind(None, None, Exception(f"{type(error).__name__} ({state or 'no SQLSTATE'})"))
