"""``busbar watch``."""

from typing import Annotated, Any

import typer

from busbar.cli.shared.connect import call
from busbar.cli.shared.ids import operation_id, resource_id
from busbar.cli.shared.options import options_of
from busbar.cli.shared.output import Output, OutputOption, console, errors, plain, print_json_line
from busbar.sdk import Client, FactItem

EXAMPLES = (
    "busbar watch --team payments",
    "busbar watch --resource payments/dev/event-stream/orders --from-start -o json",
)

_SHOWN_FIELDS = ("step", "change", "reason", "detail", "subscription", "outcome")


def command(
    context: typer.Context,
    *,
    resource: Annotated[str | None, typer.Option(help="Only facts about this resource.")] = None,
    operation: Annotated[str | None, typer.Option(help="Only facts about this operation.")] = None,
    team: Annotated[str | None, typer.Option(help="Only facts about this team.")] = None,
    types: Annotated[
        list[str] | None,
        typer.Option("--type", help="A fact type, such as busbar.resource.*; repeatable."),
    ] = None,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Start with the first fact instead of new ones.")
    ] = False,
    follow: Annotated[bool, typer.Option(help="Keep showing new facts until Ctrl-C.")] = True,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show facts as they are published.

    With `-o json`, prints one line of JSON for each fact.
    """
    resource = None if resource is None else resource_id(resource)
    operation = None if operation is None else operation_id(operation)
    if follow and output is Output.TABLE:
        errors().print(plain(_announcement(resource, operation, team, from_start=from_start)))

    async def body(client: Client) -> None:
        found = client.facts(
            after=None if from_start or not follow else "now",
            resource=resource,
            operation=operation,
            team=team,
            types=types or (),
            follow=follow,
        )
        async for fact in found:
            _show(fact, output)

    call(options_of(context), body, keep_retrying=True)


def _announcement(
    resource: str | None, operation: str | None, team: str | None, *, from_start: bool
) -> str:
    """Return a sentence about what is watched."""
    about = [
        f"{name} {value}"
        for name, value in (("resource", resource), ("operation", operation), ("team", team))
        if value
    ]
    which = "all facts from the first" if from_start else "new facts"
    return f"Watching {which}{' about ' if about else ''}{' and '.join(about)}. Ctrl-C ends it."


def _show(fact: FactItem, output: Output) -> None:
    if output is Output.JSON:
        print_json_line(fact)
        return
    about = fact.resource or fact.operation or ""
    line = f"[dim]{plain(fact.time)}[/]  {plain(fact.type)}  [bold]{plain(about)}[/]"
    console().print(f"{line}  {plain(_details(fact.data))}".rstrip())


def _details(data: Any) -> str:
    if not isinstance(data, dict):
        return ""
    return ", ".join(f"{name} {data[name]}" for name in _SHOWN_FIELDS if data.get(name))
