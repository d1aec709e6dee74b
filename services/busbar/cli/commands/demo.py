"""``busbar demo``."""

import asyncio
import time

import typer

from busbar.cli.demo.run import attach_or_start, play
from busbar.cli.shared.options import options_of
from busbar.cli.shared.output import console

EXAMPLES = ("busbar demo",)


def command(context: typer.Context) -> None:
    """Show busbar in eight acts, on a real Kafka broker.

    The acts: a resource is provisioned; one is denied, with the rule and its fix; one fails halfway
    and is compensated; one is requested twice and takes effect once; one survives a kill -9 of its
    service; a principal of another team sees nothing of all this; a person's data are sealed and
    erased; and everything is explained, replayed and proven complete.

    The demo attaches to the platform that `busbar up` runs here, or starts one in a temporary
    folder and stops it. It deletes what it created. Exit codes: 0 every act succeeded, 4 one did
    not.
    """
    options = options_of(context)
    out = console()
    started = time.monotonic()
    settings = options.settings()
    with attach_or_start(settings, settings.home, out) as platform:
        asyncio.run(play(platform, out))
    out.print(f"\n[bold green]All eight acts succeeded.[/] ({time.monotonic() - started:.1f} s)")
