"""A session with the cluster: one connection for one call, a lock on it, and an end to it.

Every connection pins what a database's owner could have set for it (``ALTER DATABASE … SET``):
otherwise a search path of theirs would run functions of theirs with the administrator's rights.
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

from busbar.backends.port import BackendUnavailable, Outcome
from busbar.backends.postgres.errors import (
    TROUBLE,
    AnswerLost,
    Refused,
    code_of,
    is_lost,
    judge,
    not_let_in,
    refused,
    words,
)

Change = tuple[str, Sequence[str]]
"""A statement with placeholders of PostgreSQL's ``format()``, and what they stand for."""

_Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"  # generic in its stubs only

_PORT: Final = 5432
_LOCK_SHARE: Final = 0.5
_GOODBYE: Final = 1.0
_LOCK_NOT_AVAILABLE: Final = "55P03"


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the cluster is. Its ``repr`` has no password."""

    host: str
    port: int
    sslmode: str | None
    reference: str
    url: SecretStr = field(repr=False)

    @property
    def place(self) -> str:
        """For sentences."""
        return f"the PostgreSQL cluster at {self.host}:{self.port} (from {self.reference})"


def read_cluster(reference: str, url: SecretStr | None) -> Cluster:
    """The cluster whose administrator's URL is stored under ``reference``.

    Raises:
        Refused: there is no URL, or it cannot be read.
    """
    wanted = "postgresql://<user>:<password>@<host>:<port>/postgres"
    if url is None:
        raise refused(f"there is no {reference}: store the administrator's URL there, {wanted}")
    try:
        parts = urlsplit(url.get_secret_value())
        host, port, user = parts.hostname, parts.port or _PORT, parts.username
    except ValueError:  # its words may quote the URL
        host, port, user = None, _PORT, None
    if not host or not user or parts.scheme not in {"postgresql", "postgres"}:
        raise refused(f"the value of {reference} is no URL of one server: it has to be {wanted}")
    sslmode = parse_qs(parts.query).get("sslmode", [None])[0]
    return Cluster(host, port, sslmode, reference, url)


class Session:
    """Asks and changes the cluster, and knows whether anything was sent.

    Every method raises :class:`BackendUnavailable` if nothing was changed so far,
    :class:`AnswerLost` if something may have been, and :class:`Refused` if PostgreSQL said no.
    """

    def __init__(self, cluster: Cluster, *, until: float) -> None:
        """Act on ``cluster`` until the loop's clock says ``until``."""
        self.cluster = cluster
        self._until = until
        self._changed = False
        self._connections: dict[str | None, _Connection] = {}

    async def lock(self, name: str) -> None:
        """Wait until nobody else acts on the database ``name``; held until the session ends.

        Raises:
            Refused: somebody else still did after half of the time.
        """
        key = int.from_bytes(
            hashlib.sha256(b"busbar:postgres-database:" + name.encode()).digest()[:8], signed=True
        )
        try:
            await self._run("SELECT pg_catalog.pg_advisory_lock($1)", key)
        except TROUBLE as error:
            if code_of(error) == _LOCK_NOT_AVAILABLE:
                detail = f"another process of busbar acts on {name}; it is tried again"
                raise Refused(Outcome.not_done("busy", detail, permanent=False)) from error
            raise self._lost(error) from error

    async def ask(
        self, query: str, *values: Any, database: str | None = None
    ) -> list[asyncpg.Record]:
        """The rows of a query that changes nothing."""
        try:
            return await self._run(query, *values, database=database)
        except TROUBLE as error:
            raise self._lost(error) from error

    async def change(self, *changes: Change, doing: str, database: str | None = None) -> None:
        """Carry out ``changes`` in one transaction; ``doing`` completes "refused to …"."""
        statements = [await self._format(change, database) for change in changes]
        if asyncio.get_running_loop().time() >= self._until:
            raise self._lost(TimeoutError())
        try:
            async with asyncio.timeout_at(self._until):
                connection = await self._connection(database)
                self._changed = True
                # Without arguments it is one simple query: one round trip, one transaction.
                await connection.execute("; ".join(statements))
        except TROUBLE as error:
            if is_lost(error):
                raise self._lost(error) from error
            raise Refused(judge(error, doing=doing)) from error

    async def close(self) -> None:
        """Say goodbye; the server lets go of the lock."""
        left = self._until - asyncio.get_running_loop().time()
        connections, self._connections = list(self._connections.values()), {}
        for connection in connections:
            try:
                await connection.close(timeout=min(max(left, 0.001), _GOODBYE))
            except TROUBLE:
                connection.terminate()

    def abandon(self) -> None:
        """Break off; the server notices by itself."""
        connections, self._connections = list(self._connections.values()), {}
        for connection in connections:
            connection.terminate()

    async def _format(self, change: Change, database: str | None) -> str:
        """``change`` as a statement, quoted by the server itself."""
        template, values = change
        (row,) = await self.ask(
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

    def _lost(self, error: BaseException) -> Exception:
        if self._changed:
            return AnswerLost(
                f"{self.cluster.place} was asked, but its answer was lost ({words(error)})"
            )
        advice = not_let_in(error)
        if advice is not None:
            return refused(f"{self.cluster.place} lets nobody in: {words(error)}; {advice}")
        return self._unavailable(error)

    def _unavailable(self, error: BaseException) -> BackendUnavailable:
        return BackendUnavailable(
            f"{self.cluster.place} does not answer ({words(error)}); check that it is up and "
            "reachable from here"
        )


@asynccontextmanager
async def opened(cluster: Cluster, *, until: float) -> AsyncIterator[Session]:
    """A session that is over at the end of the block, at once if the block fails."""
    session = Session(cluster, until=until)
    try:
        yield session
        await session.close()
    finally:
        session.abandon()


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
                # A process that was paused finds its session, and with it the lock, gone.
                "idle_session_timeout": str(milliseconds),
            },
        )
    except (ValueError, asyncpg.ClientConfigurationError):
        # Not chained: these errors quote parts of the URL.
        raise refused(
            f"the value of {cluster.reference} cannot be used as a URL: check its options, and "
            "that special characters in user and password are percent-encoded"
        ) from None
