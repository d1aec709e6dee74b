"""From a command to the gateway: a client, an event loop, and who the producer is."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import quote

from busbar.cli.options import Options
from busbar.runtime.clock import SystemClock
from busbar.sdk import Client, Retrying

Result = TypeVar("Result")

_SHORT = Retrying(attempts=3)
_PATIENT = Retrying(attempts=30)


def default_source() -> str:
    """The CloudEvents source of what this user publishes."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = "unknown"
    return f"urn:busbar:cli:{quote(user, safe='')}"


def call(
    options: Options,
    body: Callable[[Client], Awaitable[Result]],
    *,
    source: str | None = None,
    patient: bool = False,
) -> Result:
    """What ``body`` does with a client. ``patient``: outlive a gateway that restarts.

    Raises:
        BusbarError: what the client or ``body`` raises.
    """
    url, token = options.gateway(), options.token()

    async def with_client() -> Result:
        retrying = _PATIENT if patient else _SHORT
        async with Client(
            url,
            token,
            source=source or default_source(),
            now=SystemClock().now,
            retrying=retrying,
        ) as client:
            return await body(client)

    return asyncio.run(with_client())
