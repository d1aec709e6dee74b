"""``store-replay-*``: every event in commit order, parsed, beside the driver's cursor."""

import json
import sqlite3
from pathlib import Path
from time import perf_counter
from typing import Any

from bench import servers, store_append
from bench.replaying import replay
from bench.report import Row
from bench.rows import PER_TRANSACTION
from bench.run import Run, Side, beside
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.store import Store, open_store
from busbar.runtime.store.sql.statements import EVENT_COLUMNS

SERVICE = store_append.SERVICE
PREFETCH = 1000
_SELECT = f"SELECT position, {', '.join(EVENT_COLUMNS)} FROM events"  # noqa: S608 - our own names
_DATA = 1 + EVENT_COLUMNS.index("data")


async def measure_postgres(run: Run) -> list[Row]:
    """From the same table of the same cluster."""
    async with servers.postgres(run, SERVICE) as cluster:
        await store_append.fill_postgres(cluster, _transactions(run))
        async with cluster.session(cluster.server.url("busbar")) as admin:
            await admin.execute("VACUUM ANALYZE events")
        store = await open_store(
            Path(), service=SERVICE, clock=SystemClock(), database_url=cluster.url
        )
        async with cluster.session() as session:
            try:
                limit = _postgres(run, session)
                return [await _compared(run, "store-replay-postgres", store, limit)]
            finally:
                await store.close()


async def measure_sqlite(run: Run) -> list[Row]:
    """From the same table of the same file."""
    with servers.folder("replay") as folder:
        path = folder / "store.db"
        store = await open_store(path, service=SERVICE, clock=SystemClock())
        await store_append.fill_sqlite(path, _transactions(run))
        with store_append.sqlite(path) as session:
            try:
                limit = _sqlite(run, session)
                return [await _compared(run, "store-replay-sqlite", store, limit)]
            finally:
                await store.close()


def _transactions(run: Run) -> int:
    return run.size(200, quick=20)


def _events(run: Run) -> int:
    return _transactions(run) * PER_TRANSACTION


async def _compared(run: Run, name: str, store: Store, limit: Side) -> Row:
    async def ours() -> float:
        begun = perf_counter()
        async with run.own_side():
            count = await replay(store)
        assert count == _events(run), "the replay is not complete"
        return count / (perf_counter() - begun)

    await limit()
    await ours()
    return await beside(run, name, "events/s", ours=ours, limit=limit, called="cursor-json")


def _postgres(run: Run, session: Any) -> Side:
    async def turn() -> float:
        begun, count = perf_counter(), 0
        async with session.transaction(readonly=True):
            cursor = await session.cursor(f"{_SELECT} ORDER BY xid, position")
            while found := await cursor.fetch(PREFETCH):
                for row in found:
                    json.loads(row[_DATA])
                count += len(found)
        assert count == _events(run), "the cursor is not complete"
        return count / (perf_counter() - begun)

    return turn


def _sqlite(run: Run, session: sqlite3.Connection) -> Side:
    async def turn() -> float:
        begun, count = perf_counter(), 0
        for row in session.execute(f"{_SELECT} ORDER BY position"):
            json.loads(row[_DATA])
            count += 1
        assert count == _events(run), "the cursor is not complete"
        return count / (perf_counter() - begun)

    return turn
