"""``busbar health``."""

from typing import Annotated

import typer

from busbar.cli.local import addresses
from busbar.cli.local.ready import check
from busbar.cli.shared.exits import CommandError, ExitCode
from busbar.cli.shared.options import options_of

EXAMPLES = ("busbar health", "busbar health policy")


def command(
    context: typer.Context,
    service: Annotated[
        str | None, typer.Argument(help="One of them; by default all that run here.")
    ] = None,
) -> None:
    """Ask the services that run in this home whether they are ready.

    The exit code is 0 only if all that were asked are. A container has one
    service and a home of its own, so this is its health check.
    """
    options = options_of(context)
    home = options.home or options.settings().home
    names = (service,) if service is not None else addresses.process_names(home)
    if not names:
        raise CommandError(
            f"No service has been started in {home}.",
            fix="Start one with `busbar run SERVICE`, or all with `busbar up`.",
            code=ExitCode.UNREACHABLE,
        )
    problems = {name: check(home, name).problem for name in names}
    for name, problem in problems.items():
        if not problem:
            typer.echo(f"{name} is ready")
    if found := "; ".join(f"{name}: {why}" for name, why in problems.items() if why):
        raise CommandError(
            f"Not ready: {found}.",
            fix="Read what the service logs; it goes on trying by itself.",
            code=ExitCode.UNREACHABLE,
        )
