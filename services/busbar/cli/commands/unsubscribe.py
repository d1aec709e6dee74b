"""``busbar unsubscribe``."""

from typing import Annotated

import typer

from busbar.cli.shared.connect import call
from busbar.cli.shared.exits import ExitCode
from busbar.cli.shared.options import options_of
from busbar.cli.shared.outcome import follow_all
from busbar.cli.shared.output import Output, OutputOption
from busbar.sdk import Client

EXAMPLES = ("busbar unsubscribe --team payments --name orders-done",)


def command(
    context: typer.Context,
    team: Annotated[str, typer.Option(help="The team.")],
    name: Annotated[str, typer.Option(help="The subscription's name within the team.")],
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait at the most.")] = 60,
    output: OutputOption = Output.TABLE,
) -> None:
    """Stop delivering to a subscription. What is already due is still delivered."""

    async def body(client: Client) -> ExitCode:
        accepted = await client.unsubscribe(f"{team}/{name}")
        return await follow_all(client, [accepted], within=timeout, output=output)

    raise typer.Exit(call(options_of(context), body))
