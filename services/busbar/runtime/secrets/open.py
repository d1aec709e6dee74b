"""Open the secret table: a SQLite file of its own, or a schema of its own in PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from busbar.kernel.clock import Clock
from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.cipher import Cipher, load_cipher
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.core.locks import FileLock
from busbar.runtime.core.settings import Settings
from busbar.runtime.secrets import migrations
from busbar.runtime.secrets.database import Connect, SecretDatabase, Watch
from busbar.runtime.secrets.store import SecretStore
from busbar.runtime.secrets.subjects import SubjectKeys
from busbar.runtime.secrets.tables import metadata
from busbar.runtime.store import StoreUnavailable
from busbar.runtime.store.engines.sqlite import BEGIN, WRITING, prepare_engine
from busbar.runtime.store.store import connected
from busbar.runtime.telemetry.reachability import Reachability

SERVICE: Final = "secrets"
"""Named like a service, so that its schema is ``busbar_secrets``."""

_POOL: Final = 3


def secrets_of(
    settings: Settings, *, cipher: Cipher | None = None, clock: Clock | None = None
) -> SecretStore:
    """Return the secrets of this installation, under its own data key unless ``cipher`` is given.

    ``async with`` connects to them. It raises :class:`ConfigurationError`, which says what to
    change first, or :class:`StoreUnavailable` if the database is unreachable.
    """
    clock = clock or SystemClock()
    return SecretStore(_database(settings, clock), _cipher(settings, cipher), clock)


def subject_keys_of(
    settings: Settings, *, cipher: Cipher | None = None, clock: Clock | None = None
) -> SubjectKeys:
    """Return the keys of personal data, beside the secrets of this installation."""
    clock = clock or SystemClock()
    return SubjectKeys(_database(settings, clock), _cipher(settings, cipher), clock)


def _cipher(settings: Settings, given: Cipher | None) -> Cipher:
    return given or load_cipher(settings.private_home(), settings.data_key)


def _database(settings: Settings, clock: Clock) -> SecretDatabase:
    url = None if settings.database_url is None else settings.database_url.get_secret_value()
    connect: Connect = (
        partial(_open_sqlite, settings.private_home() / f"{SERVICE}.db")
        if url is None
        else partial(_open_postgres, url, clock)
    )
    return SecretDatabase(connect)


async def _open_sqlite(path: Path) -> tuple[AsyncEngine, None]:
    try:
        async with _exclusive(path.with_suffix(".lock")):
            _make_private(path)
            return await _create_table(path), None
    except StoreUnavailable:
        raise
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be opened ({type(error).__name__})") from error


async def _create_table(path: Path) -> AsyncEngine:
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}", pool_size=_POOL, max_overflow=0, hide_parameters=True
    )
    # What is deleted is overwritten with zeros: it must not stay in a free part of a page.
    prepare_engine(engine, pragmas=("secure_delete=ON",))
    writer = engine.execution_options(**{BEGIN: WRITING})
    try:
        async with connected(writer) as connection, connection.begin():
            await connection.run_sync(metadata.create_all)
    except BaseException:
        await engine.dispose()
        raise
    return engine


def _make_private(path: Path) -> None:
    """Create the file before SQLite does: its -wal and -shm files take over the mode."""
    path.touch(mode=0o600)
    if path.stat().st_mode & 0o077:
        raise ConfigurationError(
            f"The secrets in {path} can be read by others.", fix=f"Run: chmod 600 {path}*"
        )


@asynccontextmanager
async def _exclusive(path: Path) -> AsyncIterator[None]:
    """Keep every other process out of the block.

    The first connection to a file changes its journal mode, which would fail instead of waiting if
    another process used the file.
    """
    lock = FileLock(path)
    # In a thread, as it may wait for another process that does the same.
    await asyncio.to_thread(lock.__enter__)
    try:
        yield
    finally:
        lock.release()


async def _open_postgres(url: str, clock: Clock) -> tuple[AsyncEngine, Watch]:
    # Imported here so that SQLite installations do not pay for the driver.
    from busbar.runtime.store.engines.postgres import (  # noqa: PLC0415 - loaded when used
        watched_engine,
    )
    from busbar.runtime.store.engines.postgres_checks import (  # noqa: PLC0415 - loaded when used
        check_schema,
    )

    reachability = Reachability("the database of secrets", clock)
    engine, watch = watched_engine(
        url, service=SERVICE, pool_size=_POOL, reachability=reachability, clock=clock
    )
    try:
        async with connected(engine) as connection:
            await check_schema(
                connection, SERVICE, needed=migrations.NEEDED, revisions=migrations.REVISIONS
            )
    except BaseException:
        await engine.dispose()
        raise
    return engine, watch.run
