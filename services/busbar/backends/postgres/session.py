"""A session with the cluster for one call: its connections, its lock and its deadline.

Every connection pins the settings that a database's owner could have changed (``ALTER DATABASE …
SET``): otherwise the owner's search path could run the owner's functions with the administrator's
rights.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import asyncpg
from pydantic import SecretStr

from busbar.backends.calls import AnswerLost, Refused
from busbar.backends.port import BackendUnavailable
from busbar.backends.postgres.errors import (
    BROKEN_LOGINS,
    CONNECTION_ERRORS,
    connection_problem,
    is_disconnect,
    login_remedy,
    refusal_of,
    sqlstate_of,
)
from busbar.kernel.errors import ConfigurationError
from busbar.kernel.postgres_url import FORMAT, PostgresUrl, parse_postgres_url

Statement = tuple[str, Sequence[str]]
"""SQL with placeholders of PostgreSQL's ``format()``, and their values."""

_Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"  # generic in its stubs only

_LOCK_SHARE: Final = 0.5
_CLOSE_SECONDS: Final = 1.0
_LOCK_NOT_AVAILABLE: Final = "55P03"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster. No text form of it has a part of its URL."""

    reference: str
    address: PostgresUrl
    url: SecretStr = field(repr=False)

    @property
    def label(self) -> str:
        """The cluster's name in messages: the secret's, as its host is a part of a secret."""
        return f"the PostgreSQL cluster of {self.reference}"


def read_cluster(reference: str, url: SecretStr | None) -> Cluster:
    """Return the cluster whose administrator's URL is stored under ``reference``.

    Raises:
        Refused: there is no URL, or it is not valid.
    """
    if url is None:
        raise Refused(f"there is no {reference}: store the administrator's URL there, {FORMAT}")
    try:
        address = parse_postgres_url(url.get_secret_value())
    except ConfigurationError as error:
        raise Refused(f"{reference} cannot be used. {error}") from error
    return Cluster(reference, address, url)


class Session:
    """Queries and changes the cluster, and tracks whether a change was sent.

    Every method raises :class:`BackendUnavailable` if nothing was changed so far,
    :class:`AnswerLost` if something may have been, and :class:`Refused` if PostgreSQL refused.
    """

    def __init__(self, cluster: Cluster, *, until: float) -> None:
        """Connect on first use; ``until`` is the deadline on the loop's clock."""
        self.cluster = cluster
        self._until = until
        self._changed = False
        self._connections: dict[str | None, _Connection] = {}

    async def lock(self, name: str) -> None:
        """Acquire the lock on the database ``name``; the session holds it until its end.

        Raises:
            Refused: another session still held it after half of the time.
        """
        key = int.from_bytes(
            hashlib.sha256(b"busbar:postgres-database:" + name.encode()).digest()[:8], signed=True
        )
        try:
            await self._run("SELECT pg_catalog.pg_advisory_lock($1)", key)
        except CONNECTION_ERRORS as error:
            if sqlstate_of(error) == _LOCK_NOT_AVAILABLE:
                detail = f"another process of busbar is working on {name}; busbar retries"
                raise Refused(detail, reason="busy", permanent=False) from error
            raise self._failure(error) from error

    async def fetch(
        self,
        query: str,
        *values: Any,
        database: str | None = None,
        doing: str = "read its catalogue",
    ) -> list[asyncpg.Record]:
        """Return the rows of a query that changes no catalogue; ``doing`` as of :meth:`execute`."""
        try:
            return await self._run(query, *values, database=database)
        except CONNECTION_ERRORS as error:
            if is_disconnect(error):
                raise self._failure(error) from error
            raise self._refusal(error, doing=doing) from error

    async def execute(
        self, *statements: Statement, doing: str, database: str | None = None
    ) -> None:
        """Run ``statements`` in one transaction; ``doing`` completes "refused to …"."""
        formatted = [await self._format(statement, database) for statement in statements]
        if asyncio.get_running_loop().time() >= self._until:
            raise self._failure(TimeoutError())
        try:
            async with asyncio.timeout_at(self._until):
                connection = await self._connection(database)
                self._changed = True
                # Without arguments it is one simple query: one round trip, one transaction.
                await connection.execute("; ".join(formatted))
        except CONNECTION_ERRORS as error:
            if is_disconnect(error):
                raise self._failure(error) from error
            raise self._refusal(error, doing=doing) from error

    async def login_works(self, role: str, password: SecretStr, *, database: str) -> bool:
        """Return False if the password or a setting makes logins fail; to find out, log in.

        Any other answer, such as that the role has no connection left, does not count against it.

        Raises:
            BackendUnavailable: there was no answer in time.
        """
        secret = password.get_secret_value()
        try:
            async with asyncio.timeout_at(self._until):
                connection = await self._open({}, database=database, user=role, password=secret)
                await connection.close(timeout=_CLOSE_SECONDS)
        except TimeoutError as error:
            raise self._failure(error) from error
        except CONNECTION_ERRORS as error:
            return sqlstate_of(error) not in BROKEN_LOGINS
        return True

    async def disconnect(self, database: str) -> None:
        """Close the connection to ``database``, if there is one."""
        connection = self._connections.pop(database, None)
        if connection is not None:
            await self._close(connection)

    async def close(self) -> None:
        """Close the connections; the server releases the lock."""
        connections, self._connections = list(self._connections.values()), {}
        for connection in connections:
            await self._close(connection)

    def terminate(self) -> None:
        """Drop the connections without waiting for the server."""
        connections, self._connections = list(self._connections.values()), {}
        for connection in connections:
            connection.terminate()

    async def _close(self, connection: _Connection) -> None:
        try:
            await connection.close(timeout=min(self._seconds_left(), _CLOSE_SECONDS))
        except CONNECTION_ERRORS:
            connection.terminate()

    async def _format(self, statement: Statement, database: str | None) -> str:
        """Return the SQL, with its values quoted by the server itself."""
        template, values = statement
        (row,) = await self.fetch(
            "SELECT pg_catalog.format($1, VARIADIC $2::pg_catalog.text[])",
            template,
            list(values),
            database=database,
        )
        return str(row[0])

    async def _run(
        self, query: str, *values: Any, database: str | None = None
    ) -> list[asyncpg.Record]:
        async with asyncio.timeout_at(self._until):
            connection = await self._connection(database)
            return await connection.fetch(query, *values)

    async def _connection(self, database: str | None) -> _Connection:
        if database not in self._connections:
            self._connections[database] = await self._connect(database)
        return self._connections[database]

    async def _connect(self, database: str | None) -> _Connection:
        milliseconds = max(1, int(self._seconds_left() * 1000))
        settings = {
            "search_path": "pg_catalog, pg_temp",
            "default_transaction_read_only": "off",
            "statement_timeout": str(milliseconds),
            "lock_timeout": str(max(1, int(milliseconds * _LOCK_SHARE))),
            "idle_in_transaction_session_timeout": str(milliseconds),
            # A process that was paused finds its session closed and its lock released.
            "idle_session_timeout": str(milliseconds),
        }
        try:
            return await self._open(settings, database=database)
        except CONNECTION_ERRORS as error:
            failure = self._refused_connection(error, database)
        # Raised outside the handler: the server's message quotes names from the URL.
        raise failure

    async def _open(
        self,
        settings: dict[str, str],
        *,
        database: str | None,
        user: str | None = None,
        password: str | None = None,
    ) -> _Connection:
        """Connect with the cluster's URL, except for what is given.

        Raises:
            Refused: the URL's options cannot be used.
        """
        try:
            return await asyncpg.connect(
                self.cluster.url.get_secret_value(),
                timeout=self._seconds_left(),
                statement_cache_size=0,
                server_settings={"application_name": "busbar-postgres-database", **settings},
                database=database,
                user=user,
                password=password,
            )
        except (ValueError, asyncpg.ClientConfigurationError, FileNotFoundError):
            pass  # raised outside the handler: these errors quote parts of the URL
        raise Refused(
            f"{self.cluster.reference} cannot be used as a URL: check its options, and that the "
            "files that they name exist here"
        )

    def _seconds_left(self) -> float:
        return max(self._until - asyncio.get_running_loop().time(), 0.001)

    def _refused_connection(self, error: BaseException, database: str | None) -> Exception:
        """Return the failure of a connection to ``database``; None is the one in the URL."""
        remedy = login_remedy(error)
        if remedy is None:
            return self._failure(error)
        where = "the connection" if database is None else f"connections to the database {database}"
        return Refused(
            f"{self.cluster.label} refuses {where}: {connection_problem(error)}; {remedy}"
        )

    def _refusal(self, error: BaseException, *, doing: str) -> Refused:
        """Return the refusal of a statement; the server may name the user from the URL."""
        return refusal_of(error, doing=doing, hidden=self.cluster.address.user)

    def _failure(self, error: BaseException) -> Exception:
        if self._changed:
            return AnswerLost(
                f"{self.cluster.label} got the request, but its answer was lost "
                f"({connection_problem(error)})"
            )
        return BackendUnavailable(
            f"{self.cluster.label} does not answer ({connection_problem(error)}); check that it is "
            "up and reachable from here"
        )


@asynccontextmanager
async def open_session(cluster: Cluster, *, until: float) -> AsyncIterator[Session]:
    """Yield a session and close it; if the block fails, drop its connections immediately."""
    session = Session(cluster, until=until)
    try:
        yield session
        await session.close()
    finally:
        session.terminate()
