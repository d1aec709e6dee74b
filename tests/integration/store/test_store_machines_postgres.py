"""The machines of `unit/runtime/test_store_machines.py` on PostgreSQL."""

import pytest

from busbar.runtime.store import Store
from support.postgres_store import StoreCluster
from unit.runtime.test_store_machines import SETTINGS, Streams, Tasks


class Shared:
    """Settings of the machines, which hypothesis constructs without arguments."""

    cluster: StoreCluster


@pytest.fixture(scope="module", autouse=True)
def shared(cluster: StoreCluster) -> None:
    Shared.cluster = cluster


class PostgresStreams(Streams):
    async def open(self) -> Store:
        await Shared.cluster.clear()
        return await Shared.cluster.open(self.clock)


class PostgresTasks(Tasks):
    async def open(self) -> Store:
        await Shared.cluster.clear()
        return await Shared.cluster.open(self.clock)


TestPostgresStreams = PostgresStreams.TestCase
TestPostgresStreams.settings = SETTINGS
TestPostgresTasks = PostgresTasks.TestCase
TestPostgresTasks.settings = SETTINGS
