"""Connections whose other end is gone are found, so that nothing waits for them for long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from busbar.runtime.core.clock import SystemClock
from busbar.runtime.store import Store, StoreTransaction, StoreUnavailable, store_of
from busbar.runtime.store.engines.postgres import open_postgres
from faults.fire.proxy import Proxy
from support import eventually
from support.postgres_store import DATABASE, PASSWORD, SERVICE, StoreCluster
from support.sql import run_sql


@asynccontextmanager
async def watched(cluster: StoreCluster) -> AsyncIterator[tuple[Store, Proxy]]:
    """A store behind a proxy, and the watch of its sessions."""
    async with Proxy(lambda: cluster.server.port) as link:
        url = f"postgresql://{SERVICE}:{PASSWORD}@127.0.0.1:{link.port}/{DATABASE}"
        store = await open_postgres(url, service="policy", clock=SystemClock())
        watching = asyncio.create_task(store.watch())
        try:
            yield store, link
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await store.close()


async def _one(tx: StoreTransaction) -> int:
    return int((await run_sql(tx, text("SELECT 1"))).scalar_one())


async def test_a_statement_on_a_half_open_connection_fails_and_the_next_one_works(
    cluster: StoreCluster,
) -> None:
    async with watched(cluster) as (store, link):
        begun, may_go_on = asyncio.Event(), asyncio.Event()

        async def body(tx: StoreTransaction) -> int:
            await _one(tx)
            begun.set()
            await may_go_on.wait()
            return await _one(tx)

        waiting = asyncio.create_task(store.transact(body))
        await begun.wait()
        link.lose()
        may_go_on.set()
        with pytest.raises(StoreUnavailable, match="the connection is lost"):
            await asyncio.wait_for(waiting, 20)
        assert await store.transact(_one) == 1


async def test_a_server_that_hangs_is_unreachable_and_calls_fail_immediately(
    cluster: StoreCluster,
) -> None:
    async with watched(cluster) as (store, link):
        assert await store.transact(_one) == 1
        link.hold()
        problem = await eventually(store.problem, within=20, what="noticing that it hangs")
        assert "the database is unreachable since" in str(problem)
        assert "no answer" in str(problem)
        with pytest.raises(StoreUnavailable, match="no answer"):
            await store.transact(_one)
        link.let_go()

        async def answers() -> bool:
            return await store.problem() is None

        await eventually(answers, within=20, what="noticing that it answers")
        assert await store.transact(_one) == 1


async def test_what_waits_for_a_server_that_hangs_fails_in_the_end(cluster: StoreCluster) -> None:
    async with watched(cluster) as (store, link):
        begun, may_go_on = asyncio.Event(), asyncio.Event()

        async def body(tx: StoreTransaction) -> int:
            await _one(tx)
            begun.set()
            await may_go_on.wait()
            return await _one(tx)

        waiting = asyncio.create_task(store.transact(body))
        await begun.wait()
        link.hold()
        may_go_on.set()
        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(waiting, 30)
        link.let_go()


async def test_a_slow_statement_is_not_taken_for_a_dead_connection(cluster: StoreCluster) -> None:
    async with watched(cluster) as (store, _):

        async def sleep(tx: StoreTransaction) -> None:
            await run_sql(tx, text("SELECT pg_sleep(7)"))

        await store.transact(sleep)


async def test_a_store_that_is_not_connected_yet_says_so(cluster: StoreCluster) -> None:
    store = store_of(Path(), service="policy", clock=SystemClock(), database_url=cluster.url)
    with pytest.raises(StoreUnavailable, match="not connected yet"):
        await store.transact(_one)
    await store.connect()
    assert await store.transact(_one) == 1
    await store.close()


async def test_a_server_that_refuses_the_role_later_is_unreachable_until_it_takes_it_again(
    cluster: StoreCluster,
) -> None:
    """A password is changed, a database is renamed or restored: the process waits for it."""
    store = await open_postgres(cluster.url, service="policy", clock=SystemClock())
    try:
        async with cluster.session(cluster.server.url()) as admin:
            await admin.execute(f"ALTER ROLE {SERVICE} PASSWORD 'another'")
            try:
                await admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1",
                    SERVICE,
                )
                with pytest.raises(StoreUnavailable):
                    await store.transact(_one)  # on the connection that was ended
                with pytest.raises(StoreUnavailable, match="refuses policy: InvalidPassword"):
                    await store.transact(_one)
            finally:
                await admin.execute(f"ALTER ROLE {SERVICE} PASSWORD '{PASSWORD}'")
        assert await store.transact(_one) == 1
    finally:
        await store.close()
