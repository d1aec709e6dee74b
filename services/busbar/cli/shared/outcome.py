"""Waits for operations: progress while they run, their results, and the exit code."""

import asyncio
from collections.abc import Sequence

import typer

from busbar.cli.shared.exits import ExitCode, of_operation
from busbar.cli.shared.output import (
    Output,
    coloured,
    errors,
    plain,
    print_json,
    print_operation,
)
from busbar.messages.views import OperationView
from busbar.sdk import Client, Receipt, StillRunning


async def follow_all(
    client: Client, accepted: Sequence[Receipt], *, within: float, output: Output
) -> ExitCode:
    """Wait up to ``within`` seconds for all operations, print them, return the highest code."""
    views = await asyncio.gather(
        *(_follow(client, one, within=within, output=output) for one in accepted)
    )
    if output is Output.JSON:
        print_json(views[0] if len(views) == 1 else list(views))
    else:
        for view in views:
            print_operation(view)
    return max(of_operation(view.status) for view in views)


async def _follow(
    client: Client, accepted: Receipt, *, within: float, output: Output
) -> OperationView:
    progress = errors()
    name = plain(accepted.resource or accepted.operation)
    view: OperationView | None = None
    try:
        async for view in client.follow(accepted.operation, timeout=within):
            if output is Output.TABLE and not view.ended:
                steps = ", ".join(f"{step.name} {step.status}" for step in view.steps)
                progress.print(f"{name}: {coloured(view.status)}  {plain(steps)}".rstrip())
    except StillRunning as error:
        progress.print(f"[yellow]{plain(error)}[/] {plain(error.fix)}")
        return error.view
    if view is None:
        raise RuntimeError("following an operation shows it at least once")
    return view


def print_accepted(accepted: Sequence[Receipt], output: Output) -> None:
    """Print the operations that were accepted, without waiting for them."""
    if output is Output.JSON:
        print_json(accepted[0] if len(accepted) == 1 else list(accepted))
        return
    for one in accepted:
        again = " (the same intent as before)" if one.replayed else ""
        typer.echo(f"{one.resource or 'accepted'}{again}")
        typer.echo(f"  operation {one.operation}")
