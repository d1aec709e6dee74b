"""``busbar run``."""

from typing import Annotated

import typer

from busbar.cli.shared.options import options_of
from busbar.messages.topics import SERVICES

EXAMPLES = ("busbar run policy",)


def command(
    context: typer.Context,
    service: Annotated[str, typer.Argument(help=f"The service: {', '.join(SERVICES)}.")],
) -> None:
    """Run one service until SIGTERM or Ctrl-C.

    It needs a broker (KAFKA_BOOTSTRAP_SERVERS). Its logs go to standard error. `busbar up` runs all
    services; use this to run each in its own container or under your own supervisor.
    """
    from busbar.runtime.host.process import run_service  # noqa: PLC0415 - loads the whole runtime

    options = options_of(context)
    settings = options.settings()
    options.debug = True  # a service runs unattended: its traceback belongs in its log
    run_service(service, settings)
