"""The way of every command that publishes one intent: send it, follow it, exit by its result."""

from collections.abc import Awaitable, Callable
from typing import NoReturn

import typer

from busbar.cli.shared.connect import call
from busbar.cli.shared.exits import ExitCode
from busbar.cli.shared.limit import TimeLimit
from busbar.cli.shared.options import options_of
from busbar.cli.shared.outcome import follow_all, print_accepted
from busbar.cli.shared.output import Output
from busbar.sdk import Client, Receipt

Send = Callable[[Client], Awaitable[Receipt]]
"""Publishes the intent."""


def request(
    context: typer.Context, send: Send, *, wait: bool, timeout: float, output: Output
) -> NoReturn:
    """Publish an intent, follow its operation if ``wait``, and exit with the code of its result.

    Raises:
        BusbarError: what the client raises.
    """
    limit = TimeLimit(timeout)

    async def body(client: Client) -> ExitCode:
        accepted = await send(client)
        if wait:
            return await follow_all(client, [accepted], limit=limit, output=output)
        print_accepted([accepted], output)
        return ExitCode.OK

    raise typer.Exit(call(options_of(context), body, limit=limit))
