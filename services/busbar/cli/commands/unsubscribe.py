"""``busbar unsubscribe``."""

from typing import Annotated

import typer

from busbar.cli.shared.connect import call
from busbar.cli.shared.exits import ExitCode
from busbar.cli.shared.limit import TimeLimit
from busbar.cli.shared.options import TimeoutOption, options_of
from busbar.cli.shared.outcome import follow_all
from busbar.cli.shared.output import Output, OutputOption
from busbar.sdk import Client

EXAMPLES = ("busbar unsubscribe --team payments --name orders-done",)


def command(
    context: typer.Context,
    team: Annotated[str, typer.Option(help="The team that the subscription belongs to.")],
    name: Annotated[str, typer.Option(help="The subscription's name.")],
    timeout: TimeoutOption = 60,
    output: OutputOption = Output.TABLE,
) -> None:
    """End a subscription. Deliveries that are already due are still made."""
    limit = TimeLimit(timeout)

    async def body(client: Client) -> ExitCode:
        accepted = await client.unsubscribe(f"{team}/{name}")
        return await follow_all(client, [accepted], limit=limit, output=output)

    raise typer.Exit(call(options_of(context), body, limit=limit))
