"""A store in a schema of a PostgreSQL database: several processes, several writers (ADR 12)."""

import hashlib
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal

import asyncpg
from asyncpg.connect_utils import SessionAttribute
from sqlalchemy import (
    and_,
    event,
    literal_column,
    text,
)
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from busbar.kernel.clock import Clock
from busbar.kernel.errors import ConfigurationError
from busbar.runtime.store.engines.postgres_checks import (
    check_events,
    check_schema,
    check_server,
    schema_of,
)
from busbar.runtime.store.engines.sessions import Sessions, SessionWatch
from busbar.runtime.store.model.errors import Collision
from busbar.runtime.store.schema import tables
from busbar.runtime.store.sql import asyncpg_session
from busbar.runtime.store.sql.dialect import Condition
from busbar.runtime.store.sql.postgres import AFTER, VISIBLE, PostgresStatements
from busbar.runtime.store.sql.statements import Statements
from busbar.runtime.store.store import Store, connected
from busbar.runtime.telemetry.reachability import Reachability

CONNECT_SECONDS = 2.0
"""Time for a connection to be made. A short one finds a server soon that answers again."""

POOL_SIZE = 8
"""Maximum connections per process: twelve processes fit into a server's default of 100."""

SETTINGS = {
    # An abandoned transaction stalls every reader of every service.
    "idle_in_transaction_session_timeout": "5s",
    "statement_timeout": "30s",
    "lock_timeout": "5s",
    "timezone": "UTC",
    "jit": "off",
    # Every query has an index. Statistics follow the rows by a minute or more; until then the
    # planner overestimates the length of streams and scans a whole table for each batch.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
CLOCK_SECONDS = 1.0
"""How long the database's time is extrapolated before it is queried again."""

_UPTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A clock that keeps running while the machine sleeps, where the platform has one."""

_LOCK = "SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) AS key"
_TRY_LOCK = (
    "SELECT bool_and(pg_try_advisory_xact_lock(key)), pg_current_xact_id()::text::bigint"
    " FROM unnest($1::bigint[]) AS key"
)
_VISIBLE = text(VISIBLE)
_NOT_YET_VISIBLE = text("events.xid >= pg_snapshot_xmin(pg_current_snapshot())")
_AFTER = text(AFTER.format(after=":after"))
_TERMINATE_STALLED = text(
    "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE datname = current_database() AND usename = current_user"
    " AND application_name LIKE 'busbar\\_%' AND pid <> pg_backend_pid()"
    " AND backend_xid IS NOT NULL AND state = 'active' AND wait_event = 'ClientRead'"
    " AND state_change < clock_timestamp() - make_interval(secs => :after)"
)
"""Terminates the sessions of clients that stopped between two messages of one statement.

To PostgreSQL such a session (parsed, not executed) is neither idle nor running a statement: no
timeout of the server ends its transaction, and readers of every service would wait for it.
(``transaction_timeout`` came with version 17.)
"""


class PostgresDialect:
    """The dialect of PostgreSQL.

    Streams are locked by advisory locks, readers go by transaction numbers, and time is the
    database's own.
    """

    one_writer = False
    statements: Statements = PostgresStatements()

    def __init__(self, *, own_clock: bool = False) -> None:
        """With ``own_clock``, use the clock of the process: for tests that move it."""
        self._own_clock = own_clock
        self._known = datetime(1970, 1, 1, tzinfo=UTC)
        self._known_at = -CLOCK_SECONDS

    def writing(self, connection: AsyncConnection) -> AbstractAsyncContextManager[None]:
        """Return a transaction whose statements see commits up to their own start.

        A statement that follows a lock sees what the lock waited for.
        """
        return asyncpg_session.transaction(connection, "read_committed")

    def reading(self, connection: AsyncConnection) -> AbstractAsyncContextManager[None]:
        """Return a transaction that reads one snapshot."""
        return asyncpg_session.transaction(connection, "repeatable_read", readonly=True)

    async def now(self, connection: AsyncConnection, clock: Clock) -> datetime:
        """Return the database's time, which all processes share.

        It is queried once a second and extrapolated by a clock that cannot be set. The result is
        never ahead of the database: it is late by the time the response took.
        """
        if self._own_clock:
            return clock.now()
        passed = time.clock_gettime(_UPTIME) - self._known_at
        if passed >= CLOCK_SECONDS:
            ((found,),) = await asyncpg_session.fetch(connection, "SELECT clock_timestamp()")
            self._known, self._known_at = found.astimezone(UTC), time.clock_gettime(_UPTIME)
            return self._known
        return self._known + timedelta(seconds=passed)

    async def lock(self, connection: AsyncConnection, service: str, streams: set[str]) -> None:
        """Wait for every lock, in the order that all writers keep, so that they do not deadlock."""
        await asyncpg_session.fetch(connection, _LOCK, _keys(service, streams))

    async def try_lock(
        self, connection: AsyncConnection, service: str, streams: Collection[str]
    ) -> int:
        """Lock without waiting: the caller holds row locks that the other writer may wait for.

        Raises:
            Collision: another writer appends to one of ``streams``.
        """
        keys = _keys(service, streams)
        ((is_free, number),) = await asyncpg_session.fetch(connection, _TRY_LOCK, keys)
        if not is_free:
            raise Collision(f"another writer appends to one of {sorted(streams)}")
        return int(number)

    async def terminate_stalled_sessions(
        self, connection: AsyncConnection, *, after: timedelta
    ) -> int:
        """Terminate sessions that stopped in the middle of a statement; nothing else ends them."""
        found = await connection.execute(_TERMINATE_STALLED, {"after": after.total_seconds()})
        return int(found.scalar_one())

    def committed_after(self, position: int) -> Condition:
        """Return a comparison by transaction number and position.

        It excludes events that a running transaction may still precede.
        """
        if position <= 0:
            return _VISIBLE
        return and_(_VISIBLE, _AFTER.bindparams(after=position))

    def not_yet_visible(self) -> Condition | None:
        """Return the condition of events not older than the oldest running transaction."""
        return _NOT_YET_VISIBLE

    def order(self) -> tuple[Any, ...]:
        """Return the order by transaction, then by position inside it."""
        return (literal_column("events.xid"), tables.events.c.position)


def _keys(service: str, streams: Collection[str]) -> list[int]:
    """Return the lock keys of streams, sorted. Streams whose keys collide wait for each other."""
    return sorted(
        {
            int.from_bytes(
                hashlib.sha256(f"{service}\n{stream}".encode()).digest()[:8], "big", signed=True
            )
            for stream in streams
        }
    )


def postgres_store(
    url: str, *, service: str, clock: Clock, own_clock: bool = False, pool_size: int = POOL_SIZE
) -> Store:
    """Return the store of ``service`` in the database at ``url``, to be connected.

    :meth:`Store.connect` raises :class:`ConfigurationError` if the server is too old, lacks the
    schema, was loaded from a dump, or refuses the role. One connection of ``pool_size`` serves
    :meth:`Store.watch`.
    """
    reachability = Reachability("the database", clock)
    engine, watch = watched_engine(
        url,
        service=service,
        pool_size=pool_size,
        isolation_level="AUTOCOMMIT",
        reachability=reachability,
        clock=clock,
    )
    return Store(
        service=service,
        writer=engine,
        reader=engine,
        clock=clock,
        dialect=PostgresDialect(own_clock=own_clock),
        prepare=partial(_check, engine, service),
        reachability=reachability,
        watch=watch.run,
    )


def watched_engine(
    url: str,
    *,
    service: str,
    pool_size: int,
    reachability: Reachability,
    clock: Clock,
    isolation_level: Literal["READ COMMITTED", "AUTOCOMMIT"] = "READ COMMITTED",
) -> tuple[AsyncEngine, SessionWatch]:
    """Return :func:`engine_of` the arguments and the watch of its connections, to be run.

    One connection of ``pool_size`` serves the watch.
    """
    sessions = Sessions()
    engine = engine_of(
        url,
        service=service,
        pool_size=max(1, pool_size - 1),
        isolation_level=isolation_level,
        sessions=sessions,
    )
    watch = SessionWatch(
        _connecting(url, service),
        name=schema_of(service),
        sessions=sessions,
        reachability=reachability,
        clock=clock,
    )
    return engine, watch


async def _check(engine: AsyncEngine, service: str) -> Callable[[], None]:
    """Check server and schema; there is nothing to release later."""
    async with connected(engine) as connection:
        await check_server(connection)
        await check_schema(connection, service)
        await check_events(connection)
    return lambda: None


async def open_postgres(
    url: str, *, service: str, clock: Clock, own_clock: bool = False, pool_size: int = POOL_SIZE
) -> Store:
    """Return :func:`postgres_store` of the arguments, connected.

    Raises:
        ConfigurationError: the server is too old, lacks the schema, was loaded from a dump, or
            refuses the role.
        StoreUnavailable: the database is unreachable.
    """
    store = postgres_store(
        url, service=service, clock=clock, own_clock=own_clock, pool_size=pool_size
    )
    try:
        await store.connect()
    except BaseException:
        await store.close()
        raise
    return store


async def check_database(url: str) -> None:
    """Return if the database at ``url`` answers, accepts the role, and is new enough.

    Raises:
        ConfigurationError: it does not accept the role, or is too old.
        StoreUnavailable: it is unreachable.
    """
    engine = engine_of(url, service="doctor", pool_size=1)
    try:
        async with connected(engine) as connection:
            await check_server(connection)
    finally:
        await engine.dispose()


def engine_of(
    url: str,
    *,
    service: str,
    pool_size: int = POOL_SIZE,
    isolation_level: Literal["READ COMMITTED", "AUTOCOMMIT"] = "READ COMMITTED",
    sessions: Sessions | None = None,
) -> AsyncEngine:
    """Return an engine for the schema of ``service`` that raises the errors of the store.

    It holds up to ``pool_size`` connections, which are added to ``sessions``. With ``AUTOCOMMIT``,
    the caller controls transactions by :func:`asyncpg_session.transaction`.
    """
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=_connecting(url, service, sessions),
        isolation_level=isolation_level,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        hide_parameters=True,
    )

    @event.listens_for(engine.sync_engine, "handle_error")
    def _translate(context: ExceptionContext) -> None:
        error = context.original_exception
        if not isinstance(error, Exception):
            return  # a cancellation, not an error of the database
        state = str(getattr(error, "sqlstate", None) or "")
        is_down = context.is_disconnect or isinstance(error, OSError)
        if translated := asyncpg_session.error_of_sqlstate(state, is_down=is_down):
            raise translated

    return engine


def _connecting(
    url: str, service: str, sessions: Sessions | None = None
) -> Callable[[], Awaitable[Any]]:
    settings = SETTINGS | {
        "search_path": schema_of(service),
        "application_name": schema_of(service),
    }

    was_accepted = False

    async def connect() -> Any:
        nonlocal was_accepted
        problem: Exception
        try:
            driver = await asyncpg.connect(
                url,
                timeout=CONNECT_SECONDS,
                server_settings=settings,
                # With several hosts in the URL: the one that is not a standby.
                target_session_attrs=SessionAttribute.read_write,
            )
        except (
            asyncpg.InvalidAuthorizationSpecificationError,
            asyncpg.InvalidCatalogNameError,
            asyncpg.ClientConfigurationError,
            ValueError,
        ) as error:
            # A new password or a restored database does not mean that the settings are wrong.
            problem = (
                asyncpg_session.unreachable(f"it refuses {service}: {type(error).__name__}")
                if was_accepted
                else ConfigurationError(
                    f"The database refuses {service}: {type(error).__name__}.",
                    fix="Check role, password and database in BUSBAR_DATABASE_URL, and that special"
                    " characters of role and password are percent-encoded.",
                )
            )
        except asyncpg_session.ERRORS as error:
            problem = asyncpg_session.unreachable(asyncpg_session.reason_of(error))
        else:
            was_accepted = True
            if sessions is not None:
                sessions.opened(driver)
            return driver
        # Raised outside the handler: these errors quote role, host and other parts of the URL.
        raise problem

    return connect
