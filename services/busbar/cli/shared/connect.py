"""The connection of a command to the gateway."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import TypeVar
from urllib.parse import quote

from busbar.cli.local.home import running_pid
from busbar.cli.shared.exits import CommandError, ExitCode
from busbar.cli.shared.limit import TimeLimit
from busbar.cli.shared.options import Options
from busbar.cli.shared.output import errors, plain
from busbar.runtime.core.clock import SystemClock
from busbar.sdk import Client, RetryPolicy, Unreachable
from busbar.sdk.transport import OnWait

Result = TypeVar("Result")

_SHORT_RETRY = RetryPolicy(attempts=3)
"""For a gateway that is not supervised: less than a second."""

_STEADY_RETRY = RetryPolicy(attempts=6, within=20)
"""For a gateway that `busbar up` restarts when it dies: six seconds, if it refuses connections."""

_LONG_RETRY = RetryPolicy(attempts=30)
"""For commands that follow the platform: two minutes."""

_QUIET_SECONDS = 2.0
"""What a command waits for is said if it takes longer."""


def source_of(options: Options) -> str:
    """Return the CloudEvents source of what a command publishes, if it is not given.

    For a principal, it is the only one that is declared for it; the gateway knows it.

    Raises:
        BusbarError: its principal has none, or several, or the gateway cannot be asked.
    """
    if options.acts_as() is None:
        return _local_source()

    async def body(client: Client) -> str:
        return await client.own_source()

    return call(options, body)


def _local_source() -> str:
    """Return the CloudEvents source of what this user publishes."""
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
    keep_retrying: bool = False,
    limit: TimeLimit | None = None,
) -> Result:
    """Run ``body`` with a client, within the ``limit`` if one is given.

    ``keep_retrying`` waits long for a gateway that does not answer. What it waits for is printed.

    Raises:
        BusbarError: what the client or ``body`` raises.
    """
    url, credential = options.gateway(), options.credential()
    home = options.settings().home
    supervised = options.named_gateway() is not None or running_pid(home) is not None
    retrying = _LONG_RETRY if keep_retrying else _STEADY_RETRY if supervised else _SHORT_RETRY

    async def with_client() -> Result:
        async with (
            limit.applied() if limit is not None else nullcontext(),
            Client(
                url,
                credential,
                source=source,
                default_source=_local_source(),
                now=SystemClock().now,
                retry=retrying,
                on_wait=_notice(),
            ) as client,
        ):
            return await body(client)

    try:
        return asyncio.run(with_client())
    except Unreachable as error:
        if supervised:
            raise
        raise CommandError(
            f"The platform in {home} is stopped: {error}",
            fix="Start it with `busbar up`, or name another gateway with --url URL.",
            code=ExitCode.UNREACHABLE,
        ) from error


def _notice() -> OnWait:
    """Return a function that prints what is waited for, each text once, if it takes long."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    said: set[str] = set()

    def notice(text: str) -> None:
        if text not in said and loop.time() - begun >= _QUIET_SECONDS:
            said.add(text)
            errors().print(f"[yellow]waiting:[/] {plain(text)}")

    return notice
