"""The PostgreSQL databases adapter, on the session's cluster."""

from collections.abc import AsyncIterator

import pytest

from support.postgres import PostgresServer
from support.postgres_databases import PostgresHarness


@pytest.fixture
async def harness(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[PostgresHarness]:
    harness = PostgresHarness(postgres, monkeypatch)
    await harness.begin()
    yield harness
    await harness.end()
