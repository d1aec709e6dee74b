"""``busbar delete``."""

from typing import Annotated

import typer

from busbar.cli.shared.connect import call
from busbar.cli.shared.exits import ExitCode
from busbar.cli.shared.options import options_of
from busbar.cli.shared.outcome import follow_all, print_accepted
from busbar.cli.shared.output import Output, OutputOption
from busbar.sdk import Client

EXAMPLES = ("busbar delete payments/dev/event-stream/orders",)


def command(
    context: typer.Context,
    *,
    resource: Annotated[str, typer.Argument(help="team/environment/promise/name")],
    event_id: Annotated[
        str | None,
        typer.Option("--id", help="The intent's id. The same id again is the same intent."),
    ] = None,
    expected_generation: Annotated[
        int | None, typer.Option(min=0, help="Only if the resource is at this generation.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the outcome.")] = True,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait at the most.")] = 300,
    output: OutputOption = Output.TABLE,
) -> None:
    """Ask for a resource to go away, and wait for the outcome.

    The exit code tells it: 0 deleted, 3 denied, 4 failed and compensated, 5 stuck.
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
