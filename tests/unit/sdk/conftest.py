import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from pydantic import SecretStr

from busbar.sdk import Client, RetryPolicy
from unit.sdk.fake_gateway import TOKEN, FakeGateway


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    fake = FakeGateway()
    runner = web.AppRunner(fake.app(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    fake.url = f"http://{host}:{port}"
    yield fake
    await runner.cleanup()


@pytest.fixture
def pauses() -> list[float]:
    """The seconds that the client wanted to wait before trying again."""
    return []


@pytest.fixture
async def client(gateway: FakeGateway, pauses: list[float]) -> AsyncIterator[Client]:
    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    async with Client(
        gateway.url, SecretStr(TOKEN), retry=RetryPolicy(attempts=4), sleep=sleep
    ) as made:
        yield made
