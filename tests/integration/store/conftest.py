"""Fixtures that run the unit tests of the store on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from busbar.runtime.store import Store
from busbar.testing import ManualClock
from support.gauges import looking
from support.postgres import running_postgres
from support.postgres_store import StoreCluster
from support.secrets import InPostgres, SecretPlace
from unit.runtime.conftest import clock, plain_logs, publisher, relay, toy

__all__ = ["clock", "looking", "plain_logs", "publisher", "relay", "toy"]


@pytest.fixture(scope="session")
def cluster() -> Iterator[StoreCluster]:
    """A cluster without other writers, for which readers would wait."""
    with running_postgres(autovacuum="off") as server:
        found = StoreCluster(server)
        asyncio.run(found.prepare())
        yield found


@pytest.fixture
async def place(cluster: StoreCluster, tmp_path: Path) -> SecretPlace:
    """An empty table of secrets."""
    async with cluster.session(cluster.owner_url, service="secrets") as owner:
        await owner.execute("TRUNCATE secrets")
    return InPostgres(cluster, tmp_path / "home")


@pytest.fixture
async def store(cluster: StoreCluster, clock: ManualClock) -> AsyncIterator[Store]:
    await cluster.clear()
    opened = await cluster.open(clock)
    yield opened
    await opened.close()
