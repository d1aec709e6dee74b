"""``busbar replay``."""

import asyncio
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from busbar.cli.replay.compare import Comparison, Replay
from busbar.cli.replay.scratch import Counts, ScratchState
from busbar.cli.shared.connect import call
from busbar.cli.shared.exits import CommandError, ExitCode
from busbar.cli.shared.options import options_of
from busbar.cli.shared.output import Output, OutputOption, console, plain, print_json
from busbar.cli.shared.progress import DelayedStatus
from busbar.kernel.text import counted
from busbar.messages.read_scope import ReadScope
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.store import open_store
from busbar.sdk import Client

EXAMPLES = ("busbar replay", "busbar replay -o json")


def command(
    context: typer.Context,
    first: Annotated[int, typer.Option(min=1, help="Maximum number of differences to show.")] = 10,
    output: OutputOption = Output.TABLE,
) -> None:
    """Rebuild the state from the audit log and compare it with the live state.

    Every resource and operation is rebuilt from the recorded facts, in a temporary store; nothing
    outside is touched. Exit codes: 0 identical, 8 different.
    """
    options = options_of(context)
    principal = options.acts_as()

    async def body(client: Client) -> tuple[Counts, Comparison]:
        if principal is not None:
            await _require_everything(client, principal)
        return await _replay(client, output)

    counts, comparison = call(options, body)
    if output is Output.JSON:
        print_json(
            {
                "identical": comparison.identical,
                **asdict(counts),
                **asdict(comparison),
                "differences": [asdict(item) for item in comparison.differences[:first]],
            }
        )
    else:
        _show(counts, comparison, first)
    if not comparison.identical:
        raise typer.Exit(ExitCode.DIFFERENT)


async def _require_everything(client: Client, name: str) -> None:
    """Refuse a principal that sees a part of the log: what is missing would look like a loss."""
    if not ReadScope.of((await client.principal(name)).rights).everything:
        raise CommandError(
            f"{name} does not see the whole log, so the state cannot be compared.",
            fix="Run it as the administrator, without --as.",
            code=ExitCode.DENIED,
        )


async def _replay(client: Client, output: Output) -> tuple[Counts, Comparison]:
    with tempfile.TemporaryDirectory(prefix="busbar-replay-") as folder:
        store = await open_store(Path(folder) / "replay.db", service="replay", clock=SystemClock())
        try:
            async with DelayedStatus(output) as status:
                replay = Replay(client, ScratchState(store), pause=asyncio.sleep, reporter=status)
                comparison = await replay.run()
                return replay.counts, comparison
        finally:
            await store.close()


def _show(counts: Counts, comparison: Comparison, first: int) -> None:
    out = console()
    out.print(f"read      {counted(counts.records, 'record')}, {counted(counts.facts, 'fact')}")
    if counts.unreadable:
        out.print(f"skipped   {counted(counts.unreadable, 'unreadable record')}")
    resources = counted(comparison.resources, "resource")
    out.print(f"compared  {resources}, {counted(comparison.operations, 'operation')}")
    if comparison.pending:
        out.print(f"pending   {counted(comparison.pending, 'operation')} without facts")
    out.print(f"replayed  {comparison.replayed_digest}")
    out.print(f"live      {comparison.live_digest}")
    if comparison.identical:
        out.print("[green]identical[/]")
        return
    out.print(f"[red]{counted(comparison.different, 'difference')}[/]")
    for item in comparison.differences[:first]:
        out.print(f"  {item.kind} {plain(item.id)} {plain(item.field or 'is missing')}")
        out.print(f"    replayed  {plain(item.replayed)}")
        out.print(f"    live      {plain(item.live)}")
