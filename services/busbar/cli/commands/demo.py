"""``busbar demo``."""

import asyncio
import time

import typer

from busbar.cli.demo.run import platform, play
from busbar.cli.shared.options import options_of
from busbar.cli.shared.output import console

EXAMPLES = ("busbar demo",)


def command(context: typer.Context) -> None:
    """Show the whole of busbar in six acts, on a real Kafka.

    Attaches to a platform that `busbar up` runs here, or starts one of its own and stops it.
    Names are random each time. The exit code is 0 if every act showed what it is to show.
    """
    options = options_of(context)
    out = console()
    started = time.monotonic()
    settings = options.settings()
    with platform(settings, settings.home, out) as place:
        asyncio.run(play(place, out))
    out.print(f"\n[bold green]All six acts are true.[/] ({time.monotonic() - started:.1f} s)")
