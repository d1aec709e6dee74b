"""``busbar unsubscribe``."""

from typing import Annotated

import typer

from busbar.cli.shared.connect import call
from busbar.cli.shared.exits import ExitCode, usage
from busbar.cli.shared.ids import subscription_id
from busbar.cli.shared.limit import TimeLimit
from busbar.cli.shared.options import TimeoutOption, options_of
from busbar.cli.shared.outcome import follow_all
from busbar.cli.shared.output import Output, OutputOption
from busbar.sdk import Client

EXAMPLES = ("busbar unsubscribe payments/orders-done",)


def command(
    context: typer.Context,
    *,
    subscription: Annotated[
        str | None, typer.Argument(help="The subscription, team/name.", show_default=False)
    ] = None,
    team: Annotated[str | None, typer.Option(help="The team that it belongs to.")] = None,
    name: Annotated[str | None, typer.Option(help="Its name; needs --team.")] = None,
    timeout: TimeoutOption = 60,
    output: OutputOption = Output.TABLE,
) -> None:
    """End a subscription. Deliveries that are already due are still made.

    Its signing secret stays, for them and for a later subscription of the same name, until `busbar
    secrets remove` deletes it.
    """
    if (subscription is None) == (team is None or name is None):
        raise usage(
            "Name one subscription.",
            fix="Write busbar unsubscribe TEAM/NAME; `busbar subscription list` lists them.",
        )
    ended = subscription_id(subscription or f"{team}/{name}")
    limit = TimeLimit(timeout)

    async def body(client: Client) -> ExitCode:
        accepted = await client.unsubscribe(ended)
        return await follow_all(client, [accepted], limit=limit, output=output)

    raise typer.Exit(call(options_of(context), body, limit=limit))
