"""Direct use of the driver: statements run in a transaction, and errors are translated."""

import asyncio
from contextlib import suppress

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from busbar.runtime.core.clock import SystemClock
from busbar.runtime.store import Store, StoreTransaction, StoreUnavailable
from busbar.runtime.store.engines.postgres_checks import schema_of
from busbar.runtime.store.model.errors import Collision
from busbar.runtime.store.parts.outbox import Assigned
from busbar.runtime.store.sql import asyncpg_session
from support.postgres_store import StoreCluster
from support.runtime import (
    append,
    facts_of,
)
from support.sql import run_sql

_SECRET = "must not appear in a log"  # noqa: S105 - no password


async def test_nothing_is_executed_outside_of_a_transaction(store: Store) -> None:
    async with store._writer.connect() as connection:
        with pytest.raises(KeyError):
            await asyncpg_session.fetch(connection, "SELECT 1")


async def test_what_follows_the_end_of_a_connection_is_not_executed_on_another(
    store: Store,
) -> None:
    """Otherwise it would be stored although its transaction is rolled back."""

    async def body(tx: StoreTransaction) -> None:
        with suppress(StoreUnavailable):
            await run_sql(tx, text("SELECT pg_terminate_backend(pg_backend_pid())"))
        await tx._dialect.statements.checkpoint(tx._connection, "m", 1)

    with pytest.raises(StoreUnavailable):
        await store.transact(body)
    async with store.reading() as tx:
        found = await run_sql(tx, text("SELECT count(*) FROM checkpoints WHERE name = 'm'"))
        assert found.scalar_one() == 0


@pytest.mark.parametrize("turns", range(0, 40, 2))
async def test_a_reader_that_is_cancelled_hears_of_nothing_else(store: Store, turns: int) -> None:
    """The server's response to the cancelled statement must not replace that of the next one."""
    await append(store, "s", 1)

    async def read() -> None:
        while True:
            async with store.reading() as tx:
                await tx.outbox.has_new_events(after=0)
                await tx.tasks.next_due("k")

    reading = asyncio.create_task(read())
    for _ in range(turns):
        await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait({reading}, timeout=5)
    assert reading.cancelled()
    assert await facts_of(store, "s") == [1]


async def test_a_connection_that_has_ended_is_not_used_again(
    store: Store, cluster: StoreCluster
) -> None:
    other = await cluster.open(SystemClock(), pool_size=1)
    try:

        async def body(tx: StoreTransaction) -> None:
            pid = (await run_sql(tx, text("SELECT pg_backend_pid()"))).scalar_one()
            async with store.reading() as there:
                await run_sql(there, text("SELECT pg_terminate_backend(:pid)").bindparams(pid=pid))
            await tx._dialect.statements.checkpoint(tx._connection, "m", 1)

        with pytest.raises(StoreUnavailable):
            await other.transact(body)
        await append(other, "s", 1)
        assert await facts_of(other, "s") == [1]
    finally:
        await other.close()


@pytest.mark.parametrize("statement", ["SELECT $1::int", "SELECT $1::text::int"])
async def test_errors_do_not_contain_what_was_to_be_stored(store: Store, statement: str) -> None:
    """The driver's own errors contain the value, and so do the server's."""

    async def body(tx: StoreTransaction) -> None:
        await asyncpg_session.fetch(tx._connection, statement, _SECRET)

    with pytest.raises(DBAPIError) as caught:
        await store.transact(body)
    assert _SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_what_a_constraint_does_not_allow_is_said_so(store: Store) -> None:
    async def body(tx: StoreTransaction) -> None:
        for _ in range(2):
            await tx.outbox.assign([Assigned(1, 1, "digest")])

    with pytest.raises(IntegrityError):
        await store.transact(body)


async def test_a_schema_that_changes_under_a_prepared_statement_is_met_once(
    cluster: StoreCluster,
) -> None:
    """The schema is migrated while services run."""
    store = await cluster.open(SystemClock(), pool_size=1)
    collided, table = 0, f"{schema_of(store.service)}.checkpoints"

    async def every(tx: StoreTransaction) -> list[object]:
        nonlocal collided
        try:
            return await asyncpg_session.fetch(tx._connection, "SELECT * FROM checkpoints")
        except Collision:
            collided += 1
            raise

    try:
        await store.transact(every)
        async with cluster.session(cluster.owner_url, service=store.service) as owner:
            await owner.execute(f"ALTER TABLE {table} ADD COLUMN passing int")
        try:
            await store.transact(every)
        finally:
            async with cluster.session(cluster.owner_url, service=store.service) as owner:
                await owner.execute(f"ALTER TABLE {table} DROP COLUMN passing")
        assert collided == 1
    finally:
        await store.close()
