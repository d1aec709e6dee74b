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
from urllib.parse import parse_qs, urlsplit

import asyncpg
from pydantic import SecretStr

from busbar.backends.calls import AnswerLost, Refused
from busbar.backends.port import BackendUnavailable
from busbar.backends.postgres.errors import (
    CONNECTION_ERRORS,
    is_disconnect,
    login_remedy,
    message_of,
    refusal_of,
    sqlstate_of,
)

Statement = tuple[str, Sequence[str]]
"""SQL with placeholders of PostgreSQL's ``format()``, and their values."""

_Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"  # generic in its stubs only

_DEFAULT_PORT: Final = 5432
_LOCK_SHARE: Final = 0.5
_CLOSE_SECONDS: Final = 1.0
_LOCK_NOT_AVAILABLE: Final = "55P03"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The address of a cluster. Its ``repr`` has no password."""

    host: str
    port: int
    sslmode: str | None
    reference: str
    url: SecretStr = field(repr=False)

    @property
    def label(self) -> str:
        """The cluster's name in messages."""
        return f"the PostgreSQL cluster at {self.host}:{self.port} (from {self.reference})"


def read_cluster(reference: str, url: SecretStr | None) -> Cluster:
    """Return the cluster whose administrator's URL is stored under ``reference``.

    Raises:
        Refused: there is no URL, or it is not valid.
    """
    format_ = "postgresql://<user>:<password>@<host>:<port>/postgres"
    if url is None:
        raise Refused(f"there is no {reference}: store the administrator's URL there, {format_}")
    try:
        parts = urlsplit(url.get_secret_value())
        host, port, user = parts.hostname, parts.port or _DEFAULT_PORT, parts.username
    except ValueError:  # its message may quote the URL
        host, port, user = None, _DEFAULT_PORT, None
    if not host or not user or parts.scheme not in {"postgresql", "postgres"}:
        raise Refused(
            f"the value of {reference} is not the URL of one server: it has to be {format_}"
        )
    sslmode = parse_qs(parts.query).get("sslmode", [None])[0]
    return Cluster(host, port, sslmode, reference, url)


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
        self, query: str, *values: Any, database: str | None = None
    ) -> list[asyncpg.Record]:
        """Return the rows of a query that changes nothing."""
        try:
            return await self._run(query, *values, database=database)
        except CONNECTION_ERRORS as error:
            raise self._failure(error) from error

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
            raise refusal_of(error, doing=doing) from error

    async def close(self) -> None:
        """Close the connections; the server releases the lock."""
        left = self._until - asyncio.get_running_loop().time()
        connections, self._connections = list(self._connections.values()), {}
        for connection in connections:
            try:
                await connection.close(timeout=min(max(left, 0.001), _CLOSE_SECONDS))
            except CONNECTION_ERRORS:
                connection.terminate()

    def terminate(self) -> None:
        """Drop the connections without waiting for the server."""
        connections, self._connections = list(self._connections.values()), {}
        for connection in connections:
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
            left = max(self._until - asyncio.get_running_loop().time(), 0.001)
            self._connections[database] = await _connect(self.cluster, database, within=left)
        return self._connections[database]

    def _failure(self, error: BaseException) -> Exception:
        if self._changed:
            return AnswerLost(
                f"{self.cluster.label} got the request, but its answer was lost "
                f"({message_of(error)})"
            )
        remedy = login_remedy(error)
        if remedy is not None:
            return Refused(
                f"{self.cluster.label} refuses the connection: {message_of(error)}; {remedy}"
            )
        return self._unavailable(error)

    def _unavailable(self, error: BaseException) -> BackendUnavailable:
        return BackendUnavailable(
            f"{self.cluster.label} does not answer ({message_of(error)}); check that it is up and "
            "reachable from here"
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


async def _connect(cluster: Cluster, database: str | None, *, within: float) -> _Connection:
    milliseconds = max(1, int(within * 1000))
    try:
        return await asyncpg.connect(
            cluster.url.get_secret_value(),
            database=database,
            timeout=within,
            statement_cache_size=0,
            server_settings={
                "application_name": "busbar-postgres-database",
                "search_path": "pg_catalog, pg_temp",
                "default_transaction_read_only": "off",
                "statement_timeout": str(milliseconds),
                "lock_timeout": str(max(1, int(milliseconds * _LOCK_SHARE))),
                "idle_in_transaction_session_timeout": str(milliseconds),
                # A process that was paused finds its session closed and its lock released.
                "idle_session_timeout": str(milliseconds),
            },
        )
    except (ValueError, asyncpg.ClientConfigurationError):
        # Not chained: these errors quote parts of the URL.
        raise Refused(
            f"the value of {cluster.reference} cannot be used as a URL: check its options, and "
            "that special characters in user and password are percent-encoded"
        ) from None
