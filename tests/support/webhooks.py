"""A receiver of webhooks, and its subscription to provisioned resources."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from pydantic import SecretStr

from busbar.runtime.core.settings import load_settings
from busbar.runtime.secrets import secrets_of
from busbar.sdk import Client

Hook = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def receiving(hook: Hook) -> AsyncIterator[str]:
    """Have ``hook`` answer at the URL that this gives."""
    application = web.Application()
    application.router.add_post("/hook", hook)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await runner.cleanup()


async def subscribe(client: Client, home: Path, *, team: str, url: str) -> None:
    """Subscribe ``team`` to what is provisioned, with a secret that is stored in ``home``."""
    async with secrets_of(load_settings(home=home)) as store:
        value = SecretStr("whsec_" + secrets.token_hex(32))
        await store.put(f"secret:{team}", value, team=team)
    accepted = await client.subscribe(
        f"{team}/hook",
        url=url,
        types=("busbar.resource.provisioned.v1",),
        secret=f"secret:{team}",
    )
    view = await client.wait(accepted.operation, timeout=30)
    assert view.status == "succeeded", view
