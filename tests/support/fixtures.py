"""Fixtures of tests of the runtime: a store, a service, a publisher and a relay per test.

A folder's ``conftest.py`` imports those that it needs, and defines ``database``.
"""

from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

from busbar.runtime.outbox.relay import Relay
from busbar.runtime.store import Store
from busbar.testing import ManualClock, RecordingPublisher
from support.databases import Database
from support.gauges import Looking
from support.runtime import (
    Toy,
    relay_of,
)
from support.secrets import SecretPlace


@pytest.fixture(autouse=True)
def plain_logs() -> Iterator[None]:
    """Use plain tracebacks: structlog's default prints all locals, which takes a second."""
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    yield
    structlog.reset_defaults()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(database: Database, clock: ManualClock) -> AsyncIterator[Store]:
    opened = await database.empty_store(clock)
    yield opened
    await opened.close()


@pytest.fixture
async def place(database: Database) -> SecretPlace:
    return await database.empty_place()


@pytest.fixture
def toy(store: Store, clock: ManualClock) -> Toy:
    return Toy(store, clock)


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@pytest.fixture
def relay(store: Store, publisher: RecordingPublisher, clock: ManualClock) -> Relay:
    return relay_of(store, publisher, clock)


@pytest.fixture
def looking(toy: Toy, publisher: RecordingPublisher, clock: ManualClock) -> Iterator[Looking]:
    found = Looking(toy, publisher, clock)
    yield found
    found.gauges._drop_store_gauges()
