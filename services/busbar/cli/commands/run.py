"""``busbar run``."""

from typing import Annotated

import typer

from busbar.cli.shared.options import options_of
from busbar.messages.topics import SERVICES

EXAMPLES = ("busbar run policy",)


def command(
    context: typer.Context,
    service: Annotated[str, typer.Argument(help=f"One of {', '.join(SERVICES)}.")],
) -> None:
    """Run one service until it is told to stop.

    It needs a broker (KAFKA_BOOTSTRAP_SERVERS); its logs go to standard error.
    """
    from busbar.runtime.host.process import run_service  # noqa: PLC0415 - loads the whole runtime

    options = options_of(context)
    settings = options.settings()
    options.debug = True  # nobody watches a service: its traceback belongs in its log
    run_service(service, settings)
