"""``busbar status``."""

from collections.abc import Callable, Mapping
from pathlib import Path
from time import sleep
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from busbar.cli.local.addresses import read_addresses
from busbar.cli.shared.exits import CommandError, ExitCode
from busbar.cli.shared.options import options_of
from busbar.cli.shared.output import Output, OutputOption, print_json, print_json_line
from busbar.cli.status.overview import Overview, ProcessSnapshot, summarize
from busbar.cli.status.polling import fetch_all
from busbar.cli.status.screen import as_json, render

EXAMPLES = (
    "busbar status",
    "busbar status --once",
    "busbar status --once -o json",
)

REFRESH_SECONDS = 1.0
_PIPE_COLUMNS = 200


def command(
    context: typer.Context,
    *,
    once: Annotated[bool, typer.Option("--once", help="Print one screen and exit.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what every process of the platform is doing, live, until Ctrl-C.

    It polls every process of the platform in --home once a second. Values that need attention are
    yellow.

    Consuming: records/s (settled), lag (age of the oldest record not settled), behind (number of
    such records), parked (ordering keys blocked by a dead letter; see `busbar dead-letters list`),
    retries/s.

    Publishing: published/s, unpublished (events in the outbox).

    Durable tasks, which are sagas and webhooks: running, due, oldest (age of the oldest one that is
    due).

    PostgreSQL: guard (how long an old transaction has held up readers).

    Below the table: decisions, operations and webhook attempts by result.
    """
    home = options_of(context).settings().home
    before = _fetch(home)
    sleep(REFRESH_SECONDS)
    if once:
        found = summarize(before, _fetch(home))
        if output is Output.JSON:
            print_json(as_json(found))
        else:
            console = _console()
            console.print(render(found, width=console.width))
        return
    if output is Output.JSON:
        _follow(home, before, lambda found: print_json_line(as_json(found)))
        return
    _show_live(home, before)


def _show_live(home: Path, before: Mapping[str, ProcessSnapshot]) -> None:
    console = _console()
    if not console.is_terminal:
        _follow(home, before, lambda found: console.print(render(found), ""))  # never narrow
        return
    with Live(console=console, auto_refresh=False) as live:
        _follow(
            home,
            before,
            lambda found: live.update(render(found, width=console.width), refresh=True),
        )


def _follow(
    home: Path, before: Mapping[str, ProcessSnapshot], show: Callable[[Overview], None]
) -> None:
    while True:
        now = _fetch(home)
        show(summarize(before, now))
        before = now
        sleep(REFRESH_SECONDS)


def _fetch(home: Path) -> dict[str, ProcessSnapshot]:
    """Return a snapshot of every process.

    Raises:
        CommandError: no process answers.
    """
    found = fetch_all(read_addresses(home))
    if not any(snapshot.answers for snapshot in found.values()):
        raise CommandError(
            f"No platform is running in {home}.",
            fix="Start one with `busbar up`, or name its folder with --home.",
            code=ExitCode.UNREACHABLE,
        )
    return found


def _console() -> Console:
    console = Console(highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = max(console.width, _PIPE_COLUMNS)  # a file or a pipe has no width
    return console
