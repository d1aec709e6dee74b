"""``store-append-*``: events through the store's transactions, beside the driver's best insert."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from bench import rows, servers
from bench.report import Row
from bench.rows import Part
from bench.run import Run, Side, beside
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.store import Cause, Store, StoreTransaction, open_store
from support.postgres_store import StoreCluster

SERVICE = "policy"
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000")
"""What the store sets on its own connections."""


async def measure_postgres(run: Run) -> list[Row]:
    """Into the same table of the same cluster."""
    async with servers.postgres(run, SERVICE) as cluster:
        store = await open_store(
            Path(), service=SERVICE, clock=SystemClock(), database_url=cluster.url
        )
        async with cluster.session() as session:
            try:
                limit = _Limit(run, _postgres(session))
                return [await _compared(run, "store-append-postgres", store, limit.turn)]
            finally:
                await store.close()


async def measure_sqlite(run: Run) -> list[Row]:
    """Into the same table of the same file."""
    with servers.folder("append") as folder:
        path = folder / "store.db"
        store = await open_store(path, service=SERVICE, clock=SystemClock())
        with sqlite(path) as session:
            try:
                limit = _Limit(run, _sqlite(session))
                return [await _compared(run, "store-append-sqlite", store, limit.turn)]
            finally:
                await store.close()


async def _compared(run: Run, name: str, store: Store, limit: Side) -> Row:
    ours = _Ours(run, store)
    await limit()  # both have their statements prepared and their files grown
    await ours.turn()
    return await beside(run, name, "events/s", ours=ours.turn, limit=limit, called="raw-insert")


def _count(run: Run) -> int:
    return run.size(40, quick=6)


class _Ours:
    def __init__(self, run: Run, store: Store) -> None:
        self._run = run
        self._store = store
        self._turns = 0

    async def turn(self) -> float:
        self._turns += 1
        batches = list(rows.transactions(_count(self._run), f"ours-{self._turns}"))
        begun = perf_counter()
        async with self._run.own_side():
            for parts in batches:
                await self._store.transact(_appending(parts))
        return len(batches) * rows.PER_TRANSACTION / (perf_counter() - begun)


def _appending(parts: Sequence[Part]) -> Callable[[StoreTransaction], Any]:
    async def body(tx: StoreTransaction) -> None:
        for part in parts:
            tx.caused_by(Cause("urn:bench", part.operation, part.operation))
            await tx.append(part.stream, part.messages, key=part.resource)

    return body


Insert = Callable[[list[rows.Raw]], Any]


class _Limit:
    def __init__(self, run: Run, insert: Insert) -> None:
        self._run = run
        self._insert = insert
        self._turns = 0

    async def turn(self) -> float:
        self._turns += 1
        parts = rows.transactions(_count(self._run), f"raw-{self._turns}")
        batches = [rows.raw(part, service=SERVICE) for part in parts]
        begun = perf_counter()
        for batch in batches:
            await self._insert(batch)
        return len(batches) * rows.PER_TRANSACTION / (perf_counter() - begun)


def _postgres(session: Any) -> Insert:
    async def insert(batch: list[rows.Raw]) -> None:
        await session.execute(rows.POSTGRES_INSERT, *rows.columns(batch))

    return insert


def _sqlite(session: sqlite3.Connection) -> Insert:
    async def insert(batch: list[rows.Raw]) -> None:
        session.execute("BEGIN IMMEDIATE")
        session.executemany(rows.SQLITE_INSERT, batch)
        session.execute("COMMIT")

    return insert


@contextmanager
def sqlite(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of one's own to the store's file, as durable as the store's."""
    with closing(sqlite3.connect(path, isolation_level=None)) as session:
        for pragma in PRAGMAS:
            session.execute(f"PRAGMA {pragma}")
        yield session


async def fill_postgres(cluster: StoreCluster, transactions: int) -> None:
    """Fill the store's table by the raw insert."""
    async with cluster.session() as session:
        for parts in rows.transactions(transactions, "filled"):
            await _postgres(session)(rows.raw(parts, service=SERVICE))


async def fill_sqlite(path: Path, transactions: int) -> None:
    """The same in a file."""
    with sqlite(path) as session:
        for parts in rows.transactions(transactions, "filled"):
            await _sqlite(session)(rows.raw(parts, service=SERVICE))
