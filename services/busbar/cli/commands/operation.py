"""``busbar operation``."""

from typing import Annotated

import typer

from busbar.cli.shared.connect import call
from busbar.cli.shared.exits import ExitCode, of_operation
from busbar.cli.shared.options import TimeoutOption, WaitOption, options_of
from busbar.cli.shared.outcome import follow_all
from busbar.cli.shared.output import Output, OutputOption, print_json, print_operation
from busbar.sdk import Client, Receipt

EXAMPLES = ("busbar operation 0b6f8e0e-2b53-5d6e-8a53-6f5f4c1f9a10 --wait",)


def command(
    context: typer.Context,
    operation: Annotated[str, typer.Argument(help="The operation's id.", metavar="ID")],
    wait: WaitOption = False,
    timeout: TimeoutOption = 300,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show an operation, or wait for its result.

    Exit codes: 0 succeeded or (without --wait) still running, 3 denied, 4 failed and compensated, 5
    stuck or (with --wait) still running.
    """

    async def body(client: Client) -> ExitCode:
        if wait:
            accepted = [Receipt(operation=operation, resource=None)]
            return await follow_all(client, accepted, within=timeout, output=output)
        view = await client.operation(operation)
        if output is Output.JSON:
            print_json(view)
        else:
            print_operation(view)
        running = not view.ended and view.status != "stuck"
        return ExitCode.OK if running else of_operation(view.status)

    raise typer.Exit(call(options_of(context), body))
