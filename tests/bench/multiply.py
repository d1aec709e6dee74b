"""More of what services have stored: the same rows over and over, under other names.

The rows that are multiplied were made by the services themselves, so tables grow in the shape that
they really have. Published events get their numbers, so that no relay takes them for news. It is
done as the owner, while no service runs.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from busbar.runtime.store.sql.statements import EVENT_COLUMNS
from support.postgres_store import StoreCluster

SERVICES = ("policy", "provisioner", "audit", "notifier")
CHUNK = 10
"""How many times over one transaction goes."""

_NAMED = {
    "events": ("id", "correlation", "causation", "key"),
    "inbox": ("id",),
    "tasks": ("name",),
    "documents": ("key", "rank"),
}
"""Columns whose values differ from one time to the next, but for streams and versions."""

_OTHERS: Mapping[str, tuple[str, ...]] = {
    "inbox": ("consumer", "source", "id", "digest", "recorded_time"),
    "tasks": ("kind", "name", "due", "data", "revision", "attempts", "epoch", "holder", "expires"),
    "documents": ("kind", "key", "parent", "rank", "value"),
}
_KEEP = {"inbox": "true", "tasks": "kind = 'saga'", "documents": "true"}


@dataclass(frozen=True, slots=True)
class Seed:
    """The end of the rows to multiply: the last position and the highest version."""

    position: int
    version: int


async def marks(cluster: StoreCluster) -> dict[str, Seed]:
    """Return the current end of each service's rows."""
    found = {}
    for service in SERVICES:
        async with cluster.session(cluster.owner_url, service=service) as owner:
            row = await owner.fetchrow(
                "SELECT coalesce(max(position), 0), coalesce(max(version), 0) FROM events"
            )
            found[service] = Seed(*row)
            for table in _OTHERS:
                await owner.execute(f"CREATE TABLE seed_{table} AS TABLE {table}")
    return found


async def up_to(cluster: StoreCluster, seeds: Mapping[str, Seed], have: int, wanted: int) -> None:
    """Have everything ``wanted`` times over that is there ``have`` times."""
    for service in SERVICES:
        async with cluster.session(cluster.owner_url, service=service) as owner:
            newest = await owner.fetchval("SELECT coalesce(max(version), 0) FROM events")
            events = _events(seeds[service], have, newest)
            async with _without_indexes(owner):
                for first in range(have, wanted, CHUNK):
                    await _multiply(owner, events, first, min(first + CHUNK, wanted) - 1)
        if wanted > have:
            async with cluster.session(cluster.server.url("busbar"), service=service) as admin:
                await admin.execute("VACUUM ANALYZE")


@asynccontextmanager
async def _without_indexes(owner: Any) -> AsyncIterator[None]:
    """Create the indexes again after the block, in a tenth of the time that updating them takes."""
    await owner.execute("SET synchronous_commit = off; SET maintenance_work_mem = '512MB'")
    constraints = await owner.fetch(
        "SELECT conrelid::regclass AS of, conname AS name, pg_get_constraintdef(oid) AS said"
        " FROM pg_constraint WHERE connamespace = current_schema()::regnamespace"
        " AND (contype = 'u' OR conrelid IN ('inbox'::regclass, 'tasks'::regclass))"
    )
    indexes = await owner.fetch(
        "SELECT indexname AS name, indexdef AS said FROM pg_indexes"
        " WHERE schemaname = current_schema() AND indexname NOT IN"
        " (SELECT conname FROM pg_constraint WHERE connamespace = current_schema()::regnamespace)"
    )
    for one in constraints:
        await owner.execute(f"ALTER TABLE {one['of']} DROP CONSTRAINT {one['name']}")
    for one in indexes:
        await owner.execute(f"DROP INDEX {one['name']}")
    yield
    for one in constraints:
        await owner.execute(f"ALTER TABLE {one['of']} ADD CONSTRAINT {one['name']} {one['said']}")
    for one in indexes:
        await owner.execute(one["said"])


async def _multiply(owner: Any, events: str, first: int, last: int) -> None:
    async with owner.transaction():
        await owner.execute(events, first, last)
        await owner.execute(
            "UPDATE checkpoints SET value = (SELECT max(sequence) FROM sequences)"
            " WHERE name = 'published'"
        )
        for table, columns in _OTHERS.items():
            await owner.execute(
                f"INSERT INTO {table} ({', '.join(columns)})"  # noqa: S608 - our own names
                f" SELECT {_renamed(table, columns)} FROM seed_{table},"
                f" generate_series($1::int, $2::int) AS number WHERE {_KEEP[table]}",
                first,
                last,
            )


def _events(seed: Seed, have: int, newest: int) -> str:
    """Copy the rows; audit has few long streams that continue, other services many short ones."""
    columns = ["topic", *(name for name in EVENT_COLUMNS if name != "topic")]
    values = _renamed("events", columns)
    values = values.replace(
        "stream", "CASE WHEN stream LIKE 'record/%' THEN stream ELSE stream || '-' || number END", 1
    ).replace(
        "version",
        f"CASE WHEN stream LIKE 'record/%' THEN {newest} + (number - {have}) * {seed.version}"
        " + version ELSE version END",
        1,
    )
    return f"""WITH new AS (
  INSERT INTO events ({", ".join(columns)})
  SELECT {values} FROM events, generate_series($1::int, $2::int) AS number
  WHERE position <= {seed.position} ORDER BY number, position
  RETURNING position, topic)
INSERT INTO sequences (sequence, position, digest)
SELECT (SELECT coalesce(max(sequence), 0) FROM sequences) + row_number() OVER (ORDER BY position),
  position, md5(position::text) || md5(position::text)
FROM new WHERE topic IS NOT NULL"""  # noqa: S608 - our own names


def _renamed(table: str, columns: Any) -> str:
    return ", ".join(
        f"{name} || '-' || number" if name in _NAMED[table] else name for name in columns
    )
