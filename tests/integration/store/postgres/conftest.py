"""The database of tests of what only PostgreSQL has: several writers, a server, roles."""

from pathlib import Path

import pytest

from support.databases import Database, Postgres
from support.postgres_store import StoreCluster


@pytest.fixture
def database(cluster: StoreCluster, tmp_path: Path) -> Database:
    return Postgres(cluster, tmp_path)
