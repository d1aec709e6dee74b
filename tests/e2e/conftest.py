"""The whole platform, started once for these tests: a real Kafka and every service."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from pydantic import SecretStr

from busbar.cli.local import Platform
from busbar.runtime.core.settings import load_settings
from busbar.sdk import Client
from support.platforms import accepting_unsigned, running


@pytest.fixture(scope="package")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform of its own, stopped at the end."""
    settings = load_settings()
    home = tmp_path_factory.mktemp("home")
    bootstrap = settings.kafka_bootstrap_servers
    with running(Platform(home, bootstrap=bootstrap, services=accepting_unsigned)) as found:
        yield found


@pytest.fixture
async def client(platform: Platform) -> AsyncIterator[Client]:
    """A client of the platform's gateway."""
    async with client_of(platform) as found:
        yield found


@pytest.fixture
async def producer(platform: Platform) -> AsyncIterator[AIOKafkaProducer]:
    """An ordinary Kafka producer."""
    found = AIOKafkaProducer(bootstrap_servers=platform.bootstrap, max_request_size=2_000_000)
    await found.start()
    yield found
    await found.stop()


@pytest.fixture
def team() -> str:
    """A unique team."""
    return f"team-{secrets.token_hex(4)}"


def client_of(platform: Platform) -> Client:
    """A client of ``platform``'s gateway."""
    token = SecretStr(platform.token_file.read_text(encoding="ascii").strip())
    return Client(platform.url, token, source="urn:test")


def home_of(platform: Platform) -> Path:
    """Return the folder in which ``platform`` keeps its state."""
    return platform.home
