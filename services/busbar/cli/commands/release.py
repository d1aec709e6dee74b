"""``busbar release``."""

from typing import Annotated

import typer

from busbar.cli.shared.confirm import YesOption, confirm
from busbar.cli.shared.connect import call
from busbar.cli.shared.exits import ExitCode
from busbar.cli.shared.ids import resource_id
from busbar.cli.shared.limit import TimeLimit
from busbar.cli.shared.options import EventIdOption, TimeoutOption, WaitOption, options_of
from busbar.cli.shared.outcome import follow_all, print_accepted
from busbar.cli.shared.output import Output, OutputOption
from busbar.sdk import Client

EXAMPLES = ("busbar release payments/dev/event-stream/orders",)


def command(
    context: typer.Context,
    *,
    resource: Annotated[
        str, typer.Argument(help="The resource's id: team/environment/promise/name.")
    ],
    yes: YesOption = False,
    event_id: EventIdOption = None,
    wait: WaitOption = True,
    timeout: TimeoutOption = 60,
    output: OutputOption = Output.TABLE,
) -> None:
    """Forget a resource without deleting what exists of it.

    Its operations end as failed. What exists stays, is not managed any more, and can be applied
    again under the same name, which takes over what carries its mark. Exit codes: 0 released, 3
    denied, 5 no result in time.
    """
    resource = resource_id(resource)
    confirm(f"Forget {resource}? What exists of it stays and is not managed any more.", yes=yes)
    limit = TimeLimit(timeout)

    async def body(client: Client) -> ExitCode:
        accepted = await client.release(resource, event_id=event_id)
        if wait:
            return await follow_all(client, [accepted], limit=limit, output=output)
        print_accepted([accepted], output)
        return ExitCode.OK

    raise typer.Exit(call(options_of(context), body, limit=limit))
