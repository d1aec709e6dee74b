"""``busbar get``."""

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
    print_operation,
    print_table,
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

        async def list_resources(client: Client) -> list[ResourceView]:
            found = [view async for view in client.resources(prefix=prefix)]
            keep = everything or status in _GONE
            return [
                view
                for view in found
                if status in (None, view.status) and (keep or view.status not in _GONE)
            ]

        show_resources(call(options, list_resources), output)
    elif what == "operations":

        async def list_operations(client: Client) -> list[OperationView]:
            return [view async for view in client.operations(resource=resource, status=status)]

        _show_operations(call(options, list_operations), output)
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


def show_resources(views: list[ResourceView], output: Output) -> None:
    """Print ``views`` as a table or as JSON."""
    if output is Output.JSON:
        print_json(views)
        return
    if not views:
        typer.echo("No resources found.")
        return
    rows = [
        (
            plain(view.id),
            coloured(view.status),
            str(view.generation),
            plain(view.promise.get("version", "")),
            plain(view.updated),
        )
        for view in views
    ]
    print_table(("resource", "status", "generation", "version", "updated"), rows)


def _show_operations(views: list[OperationView], output: Output) -> None:
    if output is Output.JSON:
        print_json(views)
        return
    if not views:
        typer.echo("No operations found.")
        return
    rows = [
        (
            plain(view.id),
            coloured(view.status),
            plain(view.resource or view.intent.get("type", "")),
            plain(view.reason or view.detail),
            plain(view.updated),
        )
        for view in views
    ]
    print_table(("operation", "status", "about", "detail", "updated"), rows)
