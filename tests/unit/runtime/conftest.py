"""Fixtures of the runtime's tests: a store, a service, a publisher and a relay per test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

from busbar.runtime.outbox.relay import Relay
from busbar.runtime.store import Store, open_store
from busbar.testing import ManualClock, RecordingPublisher
from support.gauges import looking
from support.runtime import (
    Toy,
    relay_of,
)
from support.secrets import InSqlite, SecretPlace

__all__ = ["looking"]


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
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    opened = await open_store(tmp_path / "policy.db", service="policy", clock=clock)
    yield opened
    await opened.close()


@pytest.fixture
def place(tmp_path: Path) -> SecretPlace:
    return InSqlite(tmp_path / "home")


@pytest.fixture
def toy(store: Store, clock: ManualClock) -> Toy:
    return Toy(store, clock)


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@pytest.fixture
def relay(store: Store, publisher: RecordingPublisher, clock: ManualClock) -> Relay:
    return relay_of(store, publisher, clock)
