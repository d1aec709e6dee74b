"""Checks of a PostgreSQL database before it is used: its version, its schema and its events."""

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.kernel.errors import ConfigurationError
from busbar.runtime.store.schema import migrations

MIN_SERVER_VERSION = 15
"""The oldest major version of PostgreSQL that is tested."""

_MIGRATE = "Run `busbar migrate` as the role that owns the tables."
_AHEAD = text(
    "SELECT 1 FROM events WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())"
    " ORDER BY xid DESC LIMIT 1"
)


def schema_of(service: str) -> str:
    """Return the name of the schema with the tables of ``service``."""
    return f"busbar_{service}"


async def check_schema(
    connection: AsyncConnection,
    service: str,
    *,
    needed: str = migrations.NEEDED,
    revisions: tuple[str, ...] = migrations.REVISIONS,
) -> None:
    """Check that the schema of ``service`` is there and has the migration ``needed``.

    Raises:
        ConfigurationError: the schema is missing, closed to this role, or too old.
    """
    try:
        found = await connection.exec_driver_sql("SELECT version_num FROM schema_version")
    except DBAPIError as error:
        raise ConfigurationError(
            f"The database has no schema {schema_of(service)} that this role may use.",
            fix=_MIGRATE,
        ) from error
    current = str(found.scalar())
    if migrations.is_before(current, needed, revisions):
        raise ConfigurationError(
            f"The schema {schema_of(service)} is at {current}; this release needs {needed}.",
            fix=_MIGRATE,
        )


async def check_server(connection: AsyncConnection) -> None:
    """Check that the server is recent enough.

    Raises:
        ConfigurationError: it is too old.
    """
    version = int((await connection.exec_driver_sql("SHOW server_version_num")).scalar_one())
    if version // 10_000 < MIN_SERVER_VERSION:
        raise ConfigurationError(
            f"The database is PostgreSQL {version // 10_000}.",
            fix=f"Use PostgreSQL {MIN_SERVER_VERSION} or later.",
        )


async def check_events(connection: AsyncConnection) -> None:
    """Check that the events were written on this cluster.

    Raises:
        ConfigurationError: they were loaded from a dump.
    """
    if (await connection.execute(_AHEAD)).first() is not None:
        raise ConfigurationError(
            "The database was loaded from a dump: events carry transaction numbers that this "
            "cluster has not reached, so readers would wait for them.",
            fix="Restore a physical backup instead: docs/how-to/back-up-and-restore.md.",
        )
