"""``busbar get``."""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

import typer

from busbar.cli.shared.connect import call
from busbar.cli.shared.exits import usage
from busbar.cli.shared.options import options_of
from busbar.cli.shared.output import (
    Output,
    OutputOption,
    coloured,
    plain,
    print_fields,
    print_json,
    print_json_items,
    print_long_table,
    print_operation,
)
from busbar.messages.views import OperationView, ResourceView
from busbar.sdk import Client

EXAMPLES = (
    "busbar get",
    "busbar get resources --team payments -o json",
    "busbar get operations --status stuck",
    "busbar get payments/dev/event-stream/orders",
)


_GONE = frozenset({"deleted", "released"})


def command(
    context: typer.Context,
    *,
    what: Annotated[
        str, typer.Argument(help="resources, operations, or the id of a resource or an operation.")
    ] = "resources",
    team: Annotated[str | None, typer.Option(help="Only resources of this team.")] = None,
    environment: Annotated[
        str | None, typer.Option(help="Only resources of this environment; needs --team.")
    ] = None,
    resource: Annotated[str | None, typer.Option(help="Only operations of this resource.")] = None,
    status: Annotated[str | None, typer.Option(help="Only items with this status.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Include deleted and released resources.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """List resources and operations, or show one.

    Without an argument it lists the resources that exist. Filters apply to lists.
    """
    options = options_of(context)
    if what == "resources":
        prefix = _prefix(team, environment)
        keep = everything or status in _GONE

        async def list_resources(client: Client) -> None:
            found = (
                view
                async for view in client.resources(prefix=prefix)
                if status in (None, view.status) and (keep or view.status not in _GONE)
            )
            await show_resources(found, output)

        call(options, list_resources)
    elif what == "operations":

        async def list_operations(client: Client) -> None:
            found = client.operations(resource=resource, status=status)
            await _show_operations(found, output)

        call(options, list_operations)
    elif "/" in what:
        view = call(options, lambda client: client.resource(what))
        print_json(view) if output is Output.JSON else print_fields(view.model_dump(mode="json"))
    else:
        operation = _operation_id(what)
        found = call(options, lambda client: client.operation(operation))
        print_json(found) if output is Output.JSON else print_operation(found)


def _prefix(team: str | None, environment: str | None) -> str | None:
    if environment is not None and team is None:
        raise usage("--environment needs --team.", fix="Name the team as well.")
    return "".join(f"{part}/" for part in (team, environment) if part) or None


def _operation_id(what: str) -> str:
    try:
        return str(UUID(what))
    except ValueError as error:
        raise usage(
            f"{what!r} is neither a list nor an id.",
            fix="Write resources, operations, team/environment/promise/name or an operation's id.",
        ) from error


async def show_resources(views: AsyncIterator[ResourceView], output: Output) -> None:
    """Print ``views`` as they come, as a table or as JSON."""
    if output is Output.JSON:
        await print_json_items(views)
        return
    rows = (
        (
            plain(view.id),
            coloured(view.status),
            str(view.generation),
            plain(view.promise.get("version", "")),
            plain(view.updated),
        )
        async for view in views
    )
    columns = ("resource", "status", "generation", "version", "updated")
    if not await print_long_table(columns, rows):
        typer.echo("No resources found.")


async def _show_operations(views: AsyncIterator[OperationView], output: Output) -> None:
    if output is Output.JSON:
        await print_json_items(views)
        return
    rows = (
        (
            plain(view.id),
            coloured(view.status),
            plain(view.resource or view.intent.get("type", "")),
            plain(view.reason or view.detail),
            plain(view.updated),
        )
        async for view in views
    )
    if not await print_long_table(("operation", "status", "about", "detail", "updated"), rows):
        typer.echo("No operations found.")
