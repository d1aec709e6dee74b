"""``busbar health``."""

from typing import Annotated

import typer

from busbar.cli.local import addresses
from busbar.cli.local.ready import check
from busbar.cli.shared.exits import CommandError, ExitCode
from busbar.cli.shared.options import options_of
from busbar.messages.topics import SERVICES

EXAMPLES = ("busbar health", "busbar health policy")


def command(
    context: typer.Context,
    service: Annotated[
        str | None,
        typer.Argument(
            help="A process, such as policy or policy.2.", show_default="all that run here"
        ),
    ] = None,
) -> None:
    """Check whether services are ready.

    It asks the services whose processes have registered in the home folder. In a container, which
    runs one service with a home of its own, it serves as the health check. Exit codes: 0 all are
    ready, 7 one is not.
    """
    options = options_of(context)
    home = options.home or options.settings().home
    if service is not None and service.partition(".")[0] not in SERVICES:
        raise CommandError(
            f"There is no service called {service!r}.",
            fix=f"Choose one of {', '.join(SERVICES)}, or an instance of one, such as policy.2.",
            code=ExitCode.CONFIGURATION,
        )
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
            fix="Read the service's log. It keeps retrying, so it may recover by itself.",
            code=ExitCode.UNREACHABLE,
        )
