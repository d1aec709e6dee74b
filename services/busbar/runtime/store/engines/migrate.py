"""Create and migrate the PostgreSQL schemas, as the role that owns them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from busbar.kernel.errors import ConfigurationError
from busbar.runtime.store.engines.postgres import engine_of
from busbar.runtime.store.engines.postgres_checks import schema_of
from busbar.runtime.store.schema import migrations

GRANTS = {
    "schema_version": "SELECT",
    "events": "SELECT, INSERT",
    "sequences": "SELECT, INSERT",
    "inbox": "SELECT, INSERT",
    "dead_letters": "SELECT, INSERT",
    "checkpoints": "SELECT, INSERT, UPDATE",
    "offsets": "SELECT, INSERT, UPDATE",
    "tasks": "SELECT, INSERT, UPDATE, DELETE",
    "documents": "SELECT, INSERT, UPDATE, DELETE",
    "parked_keys": "SELECT, INSERT, UPDATE, DELETE",
    "parked_records": "SELECT, INSERT, DELETE",
}
"""Privileges of a service's role by table: history is inserted, never changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The migrations of one kind of schema, and the privileges of services on its tables."""

    steps: Path
    """The folder with one file per migration."""
    revisions: tuple[str, ...]
    grants: Mapping[str, str]


STORE = History(
    steps=Path(migrations.__file__).parent / "versions",
    revisions=migrations.REVISIONS,
    grants=GRANTS,
)


async def migrate(
    owner_url: str,
    *,
    services: Iterable[str],
    role: str,
    phase: str = "pre",
    history: History = STORE,
) -> dict[str, str | None]:
    """Migrate the schema of every service and grant ``role`` the use of it.

    ``phase`` is `pre` before a release is rolled out and `post` afterwards. Returns the revision
    of each schema. It may be run repeatedly, and by two processes concurrently.

    Raises:
        ConfigurationError: ``role`` does not exist, or the database refuses the connection.
        StoreUnavailable: the database is unreachable.
    """
    reached: dict[str, str | None] = {}
    for service in services:
        engine = engine_of(owner_url, service=service, pool_size=1)
        try:
            async with engine.begin() as connection:
                reached[service] = await connection.run_sync(
                    _upgrade, service, role, phase, history
                )
        finally:
            await engine.dispose()
    return reached


def _upgrade(
    connection: Connection, service: str, role: str, phase: str, history: History
) -> str | None:
    schema, quote = schema_of(service), connection.dialect.identifier_preparer.quote_identifier
    _require_role(connection, role)
    # A second process waits, however long the first one takes, and finds everything done.
    connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('busbar migrate'))")
    connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")
    context = MigrationContext.configure(
        connection, opts={"version_table": "schema_version", "version_table_schema": schema}
    )
    current = context.get_current_revision()
    goal = migrations.target(current, phase, history.revisions)
    if goal is not None:
        command.upgrade(_config(connection, schema, history), goal)
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {quote(schema)} TO {quote(role)}")
    for table, rights in history.grants.items():
        name = f"{quote(schema)}.{quote(table)}"
        connection.exec_driver_sql(f"GRANT {rights} ON {name} TO {quote(role)}")
    return goal or current


def _require_role(connection: Connection, role: str) -> None:
    """Refuse a role that does not exist: the server's error would quote it from a secret URL."""
    found = connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
    if found.first() is None:
        raise ConfigurationError(
            "The role in BUSBAR_DATABASE_URL does not exist in the database.",
            fix="Create it, or correct the URL: special characters have to be percent-encoded.",
        )


def _config(connection: Connection, schema: str, history: History) -> Config:
    attributes: dict[str, Any] = {"connection": connection, "schema": schema}
    config = Config(attributes=attributes)
    config.set_main_option("script_location", _option(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", _option(history.steps))
    return config


def _option(path: Path) -> str:
    """Return ``path`` escaped for the parser of options."""
    return str(path).replace("%", "%%")
