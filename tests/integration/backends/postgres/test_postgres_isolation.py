"""No database is created in the cluster of the store, under any of its names."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace

import asyncpg
import pytest
from pydantic import SecretStr

from busbar.backends.port import Outcome, Result
from busbar.backends.postgres import PostgresDatabaseBackend
from busbar.backends.postgres.isolation import OID, STARTED, SYSTEM, store_server_at
from busbar.testing import make_environment
from busbar.testing.contract import apply_and_observe, make_call
from support.postgres import HOST, PostgresServer, free_port
from support.postgres_databases import CLUSTER, PostgresHarness

pytestmark = pytest.mark.timeout(60)

STORE = "store_of_events"
HARDENED = "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC"
AS_BEFORE = "GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC"


@pytest.fixture(scope="module")
def other_server() -> Iterator[PostgresServer]:
    """Another cluster, where the store may be."""
    with PostgresServer(fsync=False) as server:
        yield server


@pytest.fixture
async def harness(harness: PostgresHarness) -> AsyncIterator[PostgresHarness]:
    """The session's cluster, as if the store were in it."""
    await harness.run(f"CREATE DATABASE {STORE}", f"CREATE ROLE {STORE} LOGIN PASSWORD 'x'")
    yield harness
    await harness.run(f"DROP DATABASE {STORE}", f"DROP ROLE {STORE}", AS_BEFORE)


def beside(harness: PostgresHarness, url: str) -> PostgresDatabaseBackend:
    """The adapter on a platform whose store is at ``url``."""

    async def store_server() -> Mapping[str, str]:
        return await store_server_at(SecretStr(url))

    environment = replace(make_environment(harness.secrets), store_server=store_server)
    return PostgresDatabaseBackend(environment)


def store_url(harness: PostgresHarness, host: str = HOST) -> str:
    url = harness.server.url(STORE, user=STORE, password="x")  # noqa: S106 - ends with the test
    return url.replace(HOST, host)


async def refused(harness: PostgresHarness, url: str) -> Outcome:
    """Request a database that has to be refused, and check that nothing exists afterwards."""
    call = make_call(harness.inputs())
    outcome = await beside(harness, url).apply(call)
    assert outcome.result is Result.NOT_DONE
    assert await harness.inspect(call.inputs) is None
    return outcome


@pytest.mark.parametrize("host", [HOST, "localhost"])
async def test_the_cluster_of_the_store_is_refused_under_every_name(
    harness: PostgresHarness, host: str
) -> None:
    outcome = await refused(harness, store_url(harness, host))
    assert outcome.permanent
    (system,) = await harness.query("SELECT system_identifier FROM pg_control_system()")
    assert f"system identifier {system[0]}" in outcome.detail
    assert "make another cluster" in outcome.detail
    assert CLUSTER in outcome.detail


@pytest.mark.parametrize("database", ["postgres", STORE])
async def test_it_is_refused_even_if_a_role_may_not_read_the_identifier(
    harness: PostgresHarness, database: str
) -> None:
    """``postgres`` is the administrator's database, the other one the store's."""
    connection = await asyncpg.connect(harness.server.url(database))
    try:
        await connection.execute(HARDENED)
    finally:
        await connection.close()
    facts = await store_server_at(SecretStr(store_url(harness)))
    assert (SYSTEM in facts) == (database == "postgres")
    outcome = await refused(harness, store_url(harness))
    assert outcome.permanent
    assert "the same database in it" in outcome.detail


async def test_a_cluster_other_than_the_stores_is_accepted(
    harness: PostgresHarness, other_server: PostgresServer
) -> None:
    for hardened in (False, True):
        if hardened:
            await harness.run(HARDENED)
        backend = beside(harness, other_server.url())
        call = make_call(harness.inputs())
        await apply_and_observe(backend, call)
        assert await backend.remove(call) == Outcome.done()


@pytest.mark.parametrize("changed", [STARTED, OID])
async def test_servers_that_match_in_part_are_different(
    harness: PostgresHarness, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    facts = dict(await store_server_at(SecretStr(store_url(harness))))
    del facts[SYSTEM]
    facts[changed] += "1"

    async def others() -> Mapping[str, str]:
        return facts

    environment = replace(make_environment(harness.secrets), store_server=others)
    backend = PostgresDatabaseBackend(environment)
    monkeypatch.setattr(harness, "backend", backend)
    await apply_and_observe(backend, make_call(harness.inputs()))


async def test_a_database_that_exists_already_can_be_removed(harness: PostgresHarness) -> None:
    call = make_call(harness.inputs())
    await apply_and_observe(harness.backend, call)
    assert await beside(harness, store_url(harness)).remove(call) == Outcome.done()
    assert await harness.inspect(call.inputs) is None


async def test_nothing_is_created_while_the_store_does_not_answer(harness: PostgresHarness) -> None:
    away = f"postgresql://someone:hush@{HOST}:{free_port()}/busbar"
    outcome = await refused(harness, away)
    assert (outcome.reason, outcome.permanent) == ("unavailable", False)
    assert "hush" not in outcome.detail
