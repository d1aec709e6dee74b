"""``busbar delete``."""

from typing import Annotated

import typer

from busbar.cli.shared.connect import call
from busbar.cli.shared.exits import ExitCode
from busbar.cli.shared.options import EventIdOption, TimeoutOption, WaitOption, options_of
from busbar.cli.shared.outcome import follow_all, print_accepted
from busbar.cli.shared.output import Output, OutputOption
from busbar.sdk import Client

EXAMPLES = ("busbar delete payments/dev/event-stream/orders",)


def command(
    context: typer.Context,
    *,
    resource: Annotated[
        str, typer.Argument(help="The resource's id: team/environment/promise/name.")
    ],
    event_id: EventIdOption = None,
    expected_generation: Annotated[
        int | None, typer.Option(min=0, help="Delete only if the resource is at this generation.")
    ] = None,
    wait: WaitOption = True,
    timeout: TimeoutOption = 300,
    output: OutputOption = Output.TABLE,
) -> None:
    """Delete a resource and wait for the result.

    Exit codes: 0 deleted, 3 denied, 4 failed and compensated, 5 stuck or still running.
    """

    async def body(client: Client) -> ExitCode:
        accepted = await client.delete(
            resource, expected_generation=expected_generation, event_id=event_id
        )
        if wait:
            return await follow_all(client, [accepted], within=timeout, output=output)
        print_accepted([accepted], output)
        return ExitCode.OK

    raise typer.Exit(call(options_of(context), body))
