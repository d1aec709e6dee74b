"""Waits for operations: progress while they run, their results, and the exit code."""

import asyncio
from collections.abc import Sequence

import typer

from busbar.cli.shared.exits import ExitCode, of_operation
from busbar.cli.shared.limit import TimeLimit
from busbar.cli.shared.operations import print_operation, progress_of, title_of
from busbar.cli.shared.output import (
    Output,
    coloured,
    errors,
    identified,
    plain,
    print_json,
)
from busbar.messages.views import OperationView
from busbar.sdk import Client, Receipt, StillRunning


async def follow_all(
    client: Client, accepted: Sequence[Receipt], *, limit: TimeLimit, output: Output
) -> ExitCode:
    """Wait within the ``limit`` for all operations, print them, return the highest code.

    If it is interrupted, it says how to follow them, since they continue.
    """
    try:
        views = await asyncio.gather(
            *(_follow(client, one, limit=limit, output=output) for one in accepted)
        )
    except asyncio.CancelledError:
        for one in accepted:
            name = f"{one.resource}: " if one.resource else ""
            errors().print(
                f"{plain(name)}operation {plain(one.operation)} continues. Follow it with: "
                f"busbar operation {plain(one.operation)} --wait"
            )
        raise
    if output is Output.JSON:
        print_json(views[0] if len(views) == 1 else list(views))
    else:
        for view in views:
            print_operation(view)
    return max(of_operation(view.status) for view in views)


async def _follow(
    client: Client, accepted: Receipt, *, limit: TimeLimit, output: Output
) -> OperationView:
    progress = errors()
    name = accepted.resource or accepted.operation
    view: OperationView | None = None
    shown = ""
    try:
        async for view in client.follow(accepted.operation, timeout=limit.left()):
            about = plain(title_of(view) or name)
            line = f"{about}: {coloured(view.status)}  {plain(progress_of(view))}".rstrip()
            if output is Output.TABLE and not view.ended and line != shown:
                progress.print(line)
                shown = line
    except StillRunning as late:
        error = StillRunning(late.view, limit.seconds)
        progress.print(f"[yellow]{plain(error)}[/] {plain(error.fix)}")
        return error.view
    if view is None:
        raise RuntimeError("following an operation shows it at least once")
    return view


def print_partial(accepted: Sequence[Receipt], asked: int, *, failed: str) -> None:
    """Print what was published before the error about ``failed`` that follows, of ``asked``."""
    for one in accepted:
        errors().print(
            f"published before the error: operation {plain(one.operation)}; follow it with: "
            f"busbar operation {plain(one.operation)} --wait"
        )
    if asked > 1:
        was = "was" if len(accepted) == 1 else "were"
        errors().print(f"{len(accepted)} of {asked} documents {was} published.")
    errors().print(f"not published: {plain(failed)}")


def print_accepted(accepted: Sequence[Receipt], output: Output) -> None:
    """Print the operations that were accepted, without waiting for them."""
    if output is Output.JSON:
        shown = [identified(one.model_dump(mode="json")) for one in accepted]
        print_json(shown[0] if len(shown) == 1 else shown)
        return
    for one in accepted:
        again = " (the same intent as before)" if one.replayed else ""
        typer.echo(f"{one.resource or 'accepted'}{again}")
        typer.echo(f"  operation {one.operation}")
