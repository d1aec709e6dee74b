"""``busbar operation``."""

from typing import Annotated

import typer

from busbar.cli.shared.confirm import YesOption, confirm
from busbar.cli.shared.connect import call
from busbar.cli.shared.exits import ExitCode, of_operation, usage
from busbar.cli.shared.ids import operation_id
from busbar.cli.shared.limit import TimeLimit
from busbar.cli.shared.operations import print_operation
from busbar.cli.shared.options import TimeoutOption, WaitOption, options_of
from busbar.cli.shared.outcome import follow_all
from busbar.cli.shared.output import Output, OutputOption, errors, plain, print_json
from busbar.sdk import Client, Receipt

EXAMPLES = (
    "busbar operation 0b6f8e0e-2b53-5d6e-8a53-6f5f4c1f9a10 --wait",
    "busbar operation retry 0b6f8e0e-2b53-5d6e-8a53-6f5f4c1f9a10",
    "busbar operation abandon 0b6f8e0e-2b53-5d6e-8a53-6f5f4c1f9a10",
)

ACTIONS = ("retry", "abandon")


def command(
    context: typer.Context,
    action: Annotated[
        str | None,
        typer.Argument(
            help="retry: try a stuck operation again now. abandon: end it as failed without undoing"
            " it. Left out: show it.",
            metavar="[retry|abandon]",
            show_default=False,
        ),
    ] = None,
    operation: Annotated[
        str | None,
        typer.Argument(
            help="The operation's id, or topic/partition/offset of a refused intent.",
            metavar="ID",
            show_default=False,
        ),
    ] = None,
    *,
    yes: YesOption = False,
    wait: WaitOption = False,
    timeout: TimeoutOption = 300,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show an operation or wait for its result; retry or abandon one that is stuck.

    What exists after an operation was abandoned stays, and is shown as its detail; a later apply or
    delete starts from there. Exit codes: 0 succeeded, carried out, or (without --wait) still
    running, 3 denied, 4 failed, 5 stuck or (with --wait) still running.
    """
    if action is None or (operation is None and action in ACTIONS):
        words = ("busbar operation", action, "ID")
        fix = f"Write {' '.join(filter(None, words))}; `busbar get operations` lists them."
        raise usage("The id of the operation is missing.", fix=fix)
    if operation is None:
        _show(context, operation_id(action), wait=wait, timeout=timeout, output=output)
    if action not in ACTIONS:
        raise usage(f"{action!r} is not an action.", fix="Write retry or abandon, then the id.")
    target = operation_id(str(operation))
    _intervene(context, action, target, yes=yes, timeout=timeout, output=output)


def _show(
    context: typer.Context, operation: str, *, wait: bool, timeout: float, output: Output
) -> None:
    limit = TimeLimit(timeout)

    async def body(client: Client) -> ExitCode:
        if wait:
            accepted = [Receipt(operation=operation, resource=None)]
            return await follow_all(client, accepted, limit=limit, output=output)
        view = await client.operation(operation)
        if output is Output.JSON:
            print_json(view)
        else:
            print_operation(view)
        running = not view.ended and view.status != "stuck"
        return ExitCode.OK if running else of_operation(view.status)

    raise typer.Exit(call(options_of(context), body, limit=limit))


def _intervene(
    context: typer.Context,
    action: str,
    operation: str,
    *,
    yes: bool,
    timeout: float,
    output: Output,
) -> None:
    if action == "abandon":
        question = f"End operation {operation} as failed? What it did is not undone."
        confirm(question, yes=yes)
    limit = TimeLimit(timeout)

    async def body(client: Client) -> ExitCode:
        resource = (await client.operation(operation)).resource
        if resource is None:
            problem = f"Operation {operation} is about no resource."
            raise usage(problem, fix="Retry or abandon an operation of a resource.")
        send = client.retry_operation if action == "retry" else client.abandon_operation
        accepted = [await send(resource, operation)]
        code = await follow_all(client, accepted, limit=limit, output=output)
        if output is Output.TABLE:
            _show_next(resource, operation, code)
        return code

    raise typer.Exit(call(options_of(context), body, limit=limit))


def _show_next(resource: str, operation: str, code: ExitCode) -> None:
    """Say how to follow the operation that was retried or abandoned, or why it was not."""
    if code is ExitCode.OK:
        errors().print(f"Follow it with: busbar operation {plain(operation)} --wait")
    if code is ExitCode.FAILED:
        errors().print(
            f"[bold]fix:[/] `busbar operation {plain(operation)}` shows it; `busbar get operations"
            f" --resource {plain(resource)}` lists those of the resource."
        )
