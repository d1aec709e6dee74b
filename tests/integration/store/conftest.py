"""Fixtures that run each suite of this folder on SQLite and on PostgreSQL.

``-k "not postgres"`` leaves out PostgreSQL, and starts no server.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.databases import Database, Postgres, Sqlite
from support.fixtures import clock, looking, place, plain_logs, publisher, relay, store, toy
from support.postgres import running_postgres
from support.postgres_store import StoreCluster

__all__ = ["clock", "looking", "place", "plain_logs", "publisher", "relay", "store", "toy"]


@pytest.fixture(scope="session")
def cluster() -> Iterator[StoreCluster]:
    """A cluster without other writers, for which readers would wait."""
    with running_postgres(autovacuum="off") as server:
        found = StoreCluster(server)
        asyncio.run(found.prepare())
        yield found


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "sqlite":
        return Sqlite(tmp_path)
    return Postgres(request.getfixturevalue("cluster"), tmp_path)
