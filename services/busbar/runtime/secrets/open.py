"""Opening the secret table: a SQLite file of its own, or a schema of its own in PostgreSQL."""

import asyncio
import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from busbar.kernel.clock import Clock
from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.cipher import Cipher, load_cipher
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.core.settings import Settings
from busbar.runtime.secrets import migrations
from busbar.runtime.secrets.store import BEGIN, READING, SecretStore
from busbar.runtime.secrets.tables import metadata
from busbar.runtime.store.schema.migrations import is_before

SERVICE: Final = "secrets"
"""Named like a service, so that its schema is ``busbar_secrets``."""

_POOL: Final = 3
_PRAGMAS: Final = ("busy_timeout=5000", "synchronous=FULL")


def secrets_of(
    settings: Settings, *, cipher: Cipher | None = None, clock: Clock | None = None
) -> SecretStore:
    """The secrets of this installation, under its own data key unless ``cipher`` is given.

    ``async with`` opens them: a :class:`ConfigurationError` says what to change before that can
    be, a :class:`StoreUnavailable` that the database does not answer.
    """
    home = settings.private_home()
    url = None if settings.database_url is None else settings.database_url.get_secret_value()
    # In a thread, as it may wait for another process that does the same.
    opening = (
        partial(asyncio.to_thread, _sqlite, home / f"{SERVICE}.db")
        if url is None
        else partial(_postgres, url)
    )
    return SecretStore(
        opening, cipher or load_cipher(home, settings.data_key), clock or SystemClock()
    )


def _sqlite(path: Path) -> AsyncEngine:
    with _alone(path.with_suffix(".lock")):
        path.touch(mode=0o600)  # before SQLite opens it: -wal and -shm take over the mode
        if path.stat().st_mode & 0o077:
            raise ConfigurationError(
                f"The secrets in {path} can be read by others.", fix=f"Run: chmod 600 {path}*"
            )
        # The mode is kept in the file. Changing it does not wait for others, so nobody else may.
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        maker = create_engine(f"sqlite:///{path}")
        metadata.create_all(maker)
        maker.dispose()
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}", pool_size=_POOL, max_overflow=0, hide_parameters=True
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin or commit by itself
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(BEGIN, READING))

    return engine


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep every other process out of here."""
    path.touch(mode=0o600)
    with path.open("w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


async def _postgres(url: str) -> AsyncEngine:
    # Only who uses PostgreSQL pays for its driver.
    from busbar.runtime.store.engines.postgres import engine_of, schema_of  # noqa: PLC0415 - when used

    engine = engine_of(url, service=SERVICE, pool_size=_POOL)
    problem = None
    try:
        async with engine.connect() as connection:
            found = await connection.exec_driver_sql("SELECT version_num FROM schema_version")
            current = str(found.scalar())
        if is_before(current, migrations.NEEDED, migrations.REVISIONS):
            problem = f"The schema {schema_of(SERVICE)} is at {current}."
    except DBAPIError:
        problem = f"The database has no schema {schema_of(SERVICE)} that this role may use."
    except BaseException:
        await engine.dispose()
        raise
    if problem is not None:
        await engine.dispose()
        raise ConfigurationError(
            problem, fix="Run `busbar migrate` as the role that owns the tables."
        )
    return engine
