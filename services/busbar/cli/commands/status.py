"""``busbar status``."""

from collections.abc import Callable, Mapping
from pathlib import Path
from time import sleep
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from busbar.cli.local.addresses import addresses
from busbar.cli.shared.exits import CommandError, ExitCode
from busbar.cli.shared.options import options_of
from busbar.cli.shared.output import Output, OutputOption, print_json, print_json_line
from busbar.cli.status.asking import look_at
from busbar.cli.status.picture import Look, Picture, picture
from busbar.cli.status.screen import as_json, drawn

EXAMPLES = (
    "busbar status",
    "busbar status --once",
    "busbar status --once -o json",
)

EVERY_SECONDS = 1.0
_UNBOUNDED = 200


def command(
    context: typer.Context,
    *,
    once: Annotated[bool, typer.Option("--once", help="Show one screen and end.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what the platform is doing, live, until Ctrl-C.

    Asks every process of the platform in --home once a second. A line tells for each: whether it
    is ready; records/s, what it settles; lag, how old the oldest record is that it has not settled,
    and behind, how many there are; parked, ordering keys blocked by a failed message (`busbar
    dead-letters list` shows which); retries/s; published/s and unpublished, what it tells others;
    running, due and oldest, its durable tasks: sagas and webhooks; guard, how long an old
    transaction in PostgreSQL has kept readers waiting.

    Below are decisions, operations and attempts at webhooks by their outcomes. What is yellow needs
    a look. As JSON: one document with --once, else one line each second.
    """
    home = options_of(context).settings().home
    before = _look(home)
    sleep(EVERY_SECONDS)
    if once:
        found = picture(before, _look(home))
        if output is Output.JSON:
            print_json(as_json(found))
        else:
            console = _console()
            console.print(drawn(found, width=console.width))
        return
    if output is Output.JSON:
        _follow(home, before, lambda found: print_json_line(as_json(found)))
        return
    _show(home, before)


def _show(home: Path, before: Mapping[str, Look]) -> None:
    console = _console()
    if not console.is_terminal:
        _follow(home, before, lambda found: console.print(drawn(found), ""))  # never narrow
        return
    with Live(console=console, auto_refresh=False) as live:
        _follow(
            home,
            before,
            lambda found: live.update(drawn(found, width=console.width), refresh=True),
        )


def _follow(home: Path, before: Mapping[str, Look], show: Callable[[Picture], None]) -> None:
    while True:
        now = _look(home)
        show(picture(before, now))
        before = now
        sleep(EVERY_SECONDS)


def _look(home: Path) -> dict[str, Look]:
    """What the processes say.

    Raises:
        CommandError: there is none.
    """
    found = look_at(addresses(home))
    if not any(look.answers for look in found.values()):
        raise CommandError(
            f"No platform runs in {home}.",
            fix="Start one with `busbar up`, or name the folder of one with --home.",
            code=ExitCode.UNREACHABLE,
        )
    return found


def _console() -> Console:
    console = Console(highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = max(console.width, _UNBOUNDED)  # a file or a pipe has no edge
    return console
