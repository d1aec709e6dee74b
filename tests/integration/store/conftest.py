"""Fixtures that run the unit tests of the store on PostgreSQL."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.databases import Database, Postgres
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


@pytest.fixture
def database(cluster: StoreCluster, tmp_path: Path) -> Database:
    return Postgres(cluster, tmp_path)
