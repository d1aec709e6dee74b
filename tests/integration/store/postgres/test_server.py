"""The server: restarts, privileges, migrations and dumps."""

import asyncio

import asyncpg
import pytest
from sqlalchemy import text

from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.store import StoreTransaction, StoreUnavailable
from busbar.runtime.store.engines.migrate import GRANTS, migrate
from busbar.runtime.store.engines.postgres import open_postgres
from busbar.runtime.store.engines.postgres_checks import schema_of
from busbar.runtime.store.schema import migrations, tables
from busbar.testing import ManualClock
from support import eventually
from support.postgres import HOST, free_port
from support.postgres_store import SERVICE, StoreCluster
from support.runtime import (
    Toy,
    append,
    record,
)
from support.sql import run_sql

BATCHES, SIZE = 60, 5


async def test_a_server_that_is_restarted_immediately_loses_nothing_committed(
    cluster: StoreCluster,
) -> None:
    await cluster.clear()
    store = await cluster.open(SystemClock())
    toy = Toy(store, SystemClock())
    done = 0

    async def consume() -> None:
        nonlocal done
        for batch in range(BATCHES):
            first = batch * SIZE
            await toy.engine.handle_batch([record(first + number) for number in range(SIZE)])
            done = batch

    consuming = asyncio.create_task(consume())
    try:
        for reached in (BATCHES // 5, BATCHES // 2):

            def has_come_far(reached: int = reached) -> bool:
                return done >= reached

            await eventually(has_come_far)
            assert not consuming.done()
            await asyncio.to_thread(cluster.server.stop, immediate=True)
            assert "the database is unreachable since" in str(await store.problem())
            cluster.server.start()  # not from a thread: the server ends with who started it
        await asyncio.wait_for(consuming, 60)
        assert await toy.done() == list(range(BATCHES * SIZE))
        assert await toy.dead() == []
        assert len(await store.events(limit=10_000)) == BATCHES * SIZE
    finally:
        consuming.cancel()
        await store.close()


async def test_a_busy_process_has_no_more_connections_than_it_may(cluster: StoreCluster) -> None:
    await cluster.clear()
    store = await cluster.open(SystemClock(), pool_size=3)
    watching = asyncio.create_task(store.watch())
    try:

        async def count(transaction: StoreTransaction) -> int:
            query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = :name"
            found = await run_sql(transaction, text(query).bindparams(name=schema_of("policy")))
            return int(found.scalar_one())

        async def counts() -> list[int]:
            return await asyncio.gather(*(store.transact(count) for _ in range(40)))

        async def all_in_use() -> bool:
            return max(await counts()) == 3

        await eventually(all_in_use, what="three connections")
        assert max(await counts()) == 3
    finally:
        watching.cancel()
        await store.close()


async def test_a_connection_that_the_server_ends_makes_the_store_unavailable(
    cluster: StoreCluster,
) -> None:
    store = await cluster.open(SystemClock())

    async def body(tx: StoreTransaction) -> None:
        await run_sql(tx, text("SELECT pg_terminate_backend(pg_backend_pid())"))

    try:
        with pytest.raises(StoreUnavailable):
            await store.transact(body)
        assert issubclass(StoreUnavailable, StoreUnavailable)
        await append(store, "after", 1)
    finally:
        await store.close()


async def test_a_server_that_is_not_there_is_reported_as_unreachable() -> None:
    url = f"postgresql://someone@{HOST}:{free_port()}/busbar"
    with pytest.raises((StoreUnavailable, OSError)):
        await open_postgres(url, service="policy", clock=SystemClock())


@pytest.mark.parametrize(
    "table", ["events", "sequences", "inbox", "dead_letters", "schema_version"]
)
@pytest.mark.parametrize("statement", ["UPDATE {} SET {}", "DELETE FROM {}", "TRUNCATE {}"])
async def test_services_cannot_change_history(
    cluster: StoreCluster, table: str, statement: str
) -> None:
    column = {"schema_version": "version_num", "sequences": "digest"}.get(table, "id")
    assert table in GRANTS
    change = statement.format(table, f"{column} = 'x'")
    async with cluster.session() as service:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute(change)


async def test_services_cannot_make_or_drop_tables(cluster: StoreCluster) -> None:
    async with cluster.session() as service:
        for statement in ("CREATE TABLE mine (id int)", "DROP TABLE events"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await service.execute(statement)


async def test_migrating_again_and_twice_at_a_time_changes_nothing(cluster: StoreCluster) -> None:
    services = ("audit", "gateway")
    both = await asyncio.gather(cluster.migrate(*services), cluster.migrate(*services))
    again = await cluster.migrate(*services, phase="post")
    expected = dict.fromkeys(services, migrations.REVISIONS[-1])
    assert [*both, again] == [expected] * 3


async def test_the_migrated_tables_have_the_columns_that_the_store_uses(
    cluster: StoreCluster,
) -> None:
    async with cluster.session() as service:
        rows = await service.fetch(
            "SELECT table_name, column_name, is_nullable FROM information_schema.columns"
            " WHERE table_schema = 'busbar_policy'"
        )
    found = {(row["table_name"], row["column_name"], row["is_nullable"] == "YES") for row in rows}
    expected = {
        (table.name, column.name, bool(column.nullable))
        for table in tables.metadata.tables.values()
        for column in table.columns
    }
    more = {("events", "xid", False), ("schema_version", "version_num", False)}
    assert found == expected | more


async def test_a_service_without_a_schema_asks_for_a_migration(cluster: StoreCluster) -> None:
    with pytest.raises(ConfigurationError, match="busbar migrate"):
        await open_postgres(cluster.url, service="unknown", clock=SystemClock())


async def test_a_wrong_password_is_the_operators_business_and_not_shown(
    cluster: StoreCluster,
) -> None:
    wrong = "a-wrong-one"
    url = cluster.server.url("busbar", user=SERVICE, password=wrong)
    with pytest.raises(ConfigurationError, match="BUSBAR_DATABASE_URL") as caught:
        await open_postgres(url, service="policy", clock=SystemClock())
    assert wrong not in str(caught.value)


async def test_a_store_that_was_loaded_from_a_dump_refuses_to_open(cluster: StoreCluster) -> None:
    await cluster.clear()
    store = await cluster.open(ManualClock())
    await append(store, "a", 1)
    await store.close()
    async with cluster.session(cluster.owner_url) as owner:
        await owner.execute("UPDATE events SET xid = '4000000000'")
    with pytest.raises(ConfigurationError, match="dump"):
        await cluster.open(ManualClock())
    await cluster.clear()


async def test_a_role_that_is_quoted_badly_cannot_inject(cluster: StoreCluster) -> None:
    with pytest.raises(Exception, match="does not exist"):
        await migrate(cluster.owner_url, services=["policy"], role='x" CASCADE; --')
