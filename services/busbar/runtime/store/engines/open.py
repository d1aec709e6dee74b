"""Open a store: a SQLite file, or a schema of a PostgreSQL database."""

from pathlib import Path

from busbar.kernel.clock import Clock
from busbar.runtime.store.engines.sqlite import open_sqlite
from busbar.runtime.store.store import Store


async def open_store(
    path: Path,
    *,
    service: str,
    clock: Clock,
    database_url: str | None = None,
    connections: int | None = None,
) -> Store:
    """Open the store of ``service`` in the database at ``database_url``, else in ``path``.

    ``connections`` is the maximum number of connections to the database.

    Raises:
        ConfigurationError: the store cannot be opened; the error says what to change.
        StoreUnavailable: the database is unreachable.
    """
    if database_url is None:
        return await open_sqlite(path, service=service, clock=clock)
    # Imported here so that SQLite installations do not pay for the driver.
    from busbar.runtime.store.engines.postgres import (  # noqa: PLC0415 - loaded when used
        POOL_SIZE,
        open_postgres,
    )

    size = connections or POOL_SIZE
    return await open_postgres(database_url, service=service, clock=clock, pool_size=size)
