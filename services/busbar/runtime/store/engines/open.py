"""Opening a store: a SQLite file, or a schema of a PostgreSQL database."""

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
    """Open the store of ``service``: in the database at ``database_url``, else in ``path``.

    ``connections`` is how many it may have to the database at once.

    Raises:
        ConfigurationError: it cannot be opened as things are; the error says what to change.
        StoreAwayError: the database does not answer.
    """
    if database_url is None:
        return await open_sqlite(path, service=service, clock=clock)
    # Only who uses PostgreSQL pays for its driver.
    from busbar.runtime.store.engines.postgres import (  # noqa: PLC0415 - loaded when used
        POOL_SIZE,
        open_postgres,
    )

    size = connections or POOL_SIZE
    return await open_postgres(database_url, service=service, clock=clock, pool_size=size)
