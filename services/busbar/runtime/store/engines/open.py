"""Open a store: a SQLite file, or a schema of a PostgreSQL database."""

from pathlib import Path

from busbar.kernel.clock import Clock
from busbar.runtime.store.engines.sqlite import sqlite_store
from busbar.runtime.store.store import Store


async def open_store(
    path: Path,
    *,
    service: str,
    clock: Clock,
    database_url: str | None = None,
    connections: int | None = None,
) -> Store:
    """Return :func:`store_of` the arguments, connected.

    Raises:
        ConfigurationError: the store cannot be opened; the error says what to change.
        StoreUnavailable: the database is unreachable.
    """
    store = store_of(
        path, service=service, clock=clock, database_url=database_url, connections=connections
    )
    try:
        await store.connect()
    except BaseException:
        await store.close()
        raise
    return store


def store_of(
    path: Path,
    *,
    service: str,
    clock: Clock,
    database_url: str | None = None,
    connections: int | None = None,
) -> Store:
    """Return the store of ``service`` in the database at ``database_url``, else in ``path``.

    It can be used after :meth:`Store.connect`. ``connections`` is the maximum number of connections
    to the database.
    """
    if database_url is None:
        return sqlite_store(path, service=service, clock=clock)
    # Imported here so that SQLite installations do not pay for the driver.
    from busbar.runtime.store.engines.postgres import (  # noqa: PLC0415 - loaded when used
        POOL_SIZE,
        postgres_store,
    )

    size = connections or POOL_SIZE
    return postgres_store(database_url, service=service, clock=clock, pool_size=size)
