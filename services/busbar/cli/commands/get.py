"""``busbar get``."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, get_args
from uuid import UUID

import typer

from busbar.cli.shared.catalogue import show_promises, show_subscriptions
from busbar.cli.shared.connect import call
from busbar.cli.shared.exits import usage
from busbar.cli.shared.following import changes
from busbar.cli.shared.ids import operation_of_record, resource_id
from busbar.cli.shared.operations import print_operation, summary_of, title_of
from busbar.cli.shared.options import Options, options_of
from busbar.cli.shared.output import (
    Output,
    OutputOption,
    coloured,
    plain,
    print_fields,
    print_json,
    print_json_items,
    print_json_line,
    print_long_table,
)
from busbar.cli.shared.times import shown
from busbar.kernel.suggest import did_you_mean, listed
from busbar.messages.views import OperationStatus, OperationView, ResourceStatus, ResourceView
from busbar.sdk import Client, SubscriptionView

EXAMPLES = (
    "busbar get",
    "busbar get resources --team payments -o json",
    "busbar get operations --status stuck",
    "busbar get resources --watch",
    "busbar get promises",
    "busbar get payments/dev/event-stream/orders",
)


def command(
    context: typer.Context,
    *,
    what: Annotated[
        str,
        typer.Argument(
            help="resources, operations, promises, subscriptions, or the id of a resource or an"
            " operation."
        ),
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
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Then also show what changes, until Ctrl-C.")
    ] = False,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show the personal values of one resource in clear.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """List resources, operations, promises or subscriptions, or show a resource or an operation.

    Without an argument it lists the resources that exist. Filters apply to lists.

    The generation of a resource numbers the desired state that was accepted last, and grows with
    every change of it. The observed generation is the one that was provisioned last: while both
    are equal, what exists is what was asked for.

    With --watch and `-o json`, prints one line of JSON for each item.
    """
    filters = Filters(team, environment, resource, status, everything=everything)
    _refuse_other_filters(what, filters)
    if reveal and "/" not in what:
        raise usage(
            "--reveal is for one resource.", fix="Give its id: team/environment/promise/name."
        )
    selection = _LISTS[what](filters) if what in _LISTS else _one(what, reveal=reveal)
    _present(options_of(context), selection, output=output, watch=watch)


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a list."""

    team: str | None
    environment: str | None
    resource: str | None
    status: str | None
    everything: bool = False


@dataclass(frozen=True, slots=True)
class _Selection:
    """A list or one thing: ``load`` yields the items, ``show`` prints them as they come.

    ``at_first`` says which items are shown before they have changed.
    """

    load: Callable[[Client], AsyncIterator[Any]]
    show: Callable[..., Awaitable[None]]
    at_first: Callable[[Any], bool] = lambda _: True


def _resources(filters: Filters) -> _Selection:
    prefix = _prefix(filters.team, filters.environment)

    async def load(client: Client) -> AsyncIterator[Any]:
        async for view in client.resources(prefix=prefix):
            if filters.status in (None, view.status):
                yield view

    def exists(view: ResourceView) -> bool:
        return filters.everything or filters.status in _GONE or view.status not in _GONE

    return _Selection(load, show_resources, exists)


def _operations(filters: Filters) -> _Selection:
    def load(client: Client) -> AsyncIterator[Any]:
        return client.operations(resource=filters.resource, status=filters.status)

    return _Selection(load, _show_operations)


def _promises(_filters: Filters) -> _Selection:
    async def load(client: Client) -> AsyncIterator[Any]:
        for view in await client.promises():
            yield view

    return _Selection(load, _collected(show_promises))


def _subscriptions(filters: Filters) -> _Selection:
    def load(client: Client) -> AsyncIterator[Any]:
        return client.subscriptions(team=filters.team)

    return _Selection(load, _collected(show_subscriptions))


def _collected(show: Callable[..., None]) -> Callable[..., Awaitable[None]]:
    """Return ``show``, which prints a whole list, for items that come one by one."""

    async def collect(views: AsyncIterator[Any], output: Output, *, heading: bool = True) -> None:
        show([view async for view in views], output, heading=heading)

    return collect


def _one(what: str, *, reveal: bool) -> _Selection:
    """Return the selection of the resource or the operation ``what``."""
    if "/" in what and operation_of_record(what) is None:
        resource = resource_id(what)

        async def one_resource(client: Client) -> AsyncIterator[Any]:
            yield await client.resource(resource, reveal=reveal)

        return _Selection(one_resource, _show_one)
    operation = _operation_id(what)

    async def one_operation(client: Client) -> AsyncIterator[Any]:
        yield await client.operation(operation)

    return _Selection(one_operation, _show_one)


_LISTS: Final[Mapping[str, Callable[[Filters], _Selection]]] = {
    "resources": _resources,
    "operations": _operations,
    "promises": _promises,
    "subscriptions": _subscriptions,
}
_ELSEWHERE: Final[Mapping[str, str]] = {
    "environments": "busbar environments",
    "rules": "busbar rules list",
    "secrets": "busbar secrets list",
    "dead-letters": "busbar dead-letters list",
    "deliveries": "busbar subscription attempts TEAM/NAME",
    "messages": "busbar schema list",
    "facts": "busbar watch",
}
"""Commands that list what `get` does not."""

_GONE: Final = frozenset({"deleted", "released"})
_FILTERS: Final = {
    "resources": {"team", "environment", "status"},
    "operations": {"resource", "status"},
    "subscriptions": {"team"},
}


def _refuse_other_filters(what: str, filters: Filters) -> None:
    """Return if each filter that was given applies to ``what``.

    Raises:
        CommandError: one would be ignored, or the status does not exist.
    """
    applicable = _FILTERS.get(what, set())
    for name in ("team", "environment", "resource", "status"):
        if getattr(filters, name) is not None and name not in applicable:
            fits = ", ".join(kind for kind, names in _FILTERS.items() if name in names)
            raise usage(
                f"--{name} does not apply to {what}.", fix=f"Leave it out: it is for {fits}."
            )
    known = get_args(ResourceStatus if what == "resources" else OperationStatus)
    status = filters.status
    if status is not None and status not in known:
        fix = did_you_mean(status, known, otherwise=f"write one of {listed(known)}")
        raise usage(f"{status!r} is not a status of {what}.", fix=fix)


def _present(options: Options, selection: _Selection, *, output: Output, watch: bool) -> None:
    """Show what is selected; with ``watch``, then also what changes, until Ctrl-C."""
    if not watch:
        call(options, lambda client: selection.show(_at_first(selection, client), output))
        return

    async def whole(client: Client) -> list[Any]:
        return [item async for item in selection.load(client)]

    async def body(client: Client) -> None:
        heading = True
        async for found in changes(client, lambda: whole(client), _key):
            items = [item for item in found if not heading or selection.at_first(item)]
            if output is Output.JSON:
                for item in items:
                    print_json_line(item)
            else:
                await selection.show(_each(items), output, heading=heading)
            heading = False

    call(options, body, keep_retrying=True)


async def _at_first(selection: _Selection, client: Client) -> AsyncIterator[Any]:
    async for item in selection.load(client):
        if selection.at_first(item):
            yield item


async def _each(items: Iterable[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


def _key(item: Any) -> str:
    return str(item.subscription if isinstance(item, SubscriptionView) else item.id)


async def _show_one(views: AsyncIterator[Any], output: Output, *, heading: bool = True) -> None:  # noqa: ARG001 - as lists are shown
    async for view in views:
        if output is Output.JSON:
            print_json(view)
        elif isinstance(view, OperationView):
            print_operation(view)
        else:
            print_fields(view.model_dump(mode="json"))


def _prefix(team: str | None, environment: str | None) -> str | None:
    if environment is not None and team is None:
        raise usage("--environment needs --team.", fix="Name the team as well.")
    return "".join(f"{part}/" for part in (team, environment) if part) or None


def _operation_id(what: str) -> str:
    try:
        return operation_of_record(what) or str(UUID(what))
    except ValueError as error:
        fix = (
            "Write resources, operations, promises, subscriptions, the id of a resource "
            "(team/environment/promise/name) or that of an operation."
        )
        if what in _ELSEWHERE:
            fix = f"`{_ELSEWHERE[what]}` lists them."
        problem = f"{what!r} is neither a list nor an id."
        raise usage(problem, fix=did_you_mean(what, _LISTS, otherwise=fix)) from error


async def show_resources(
    views: AsyncIterator[ResourceView], output: Output, *, heading: bool = True
) -> None:
    """Print ``views`` as they come, as a table, with or without its heading, or as JSON."""
    if output is Output.JSON:
        await print_json_items(views)
        return
    rows = (
        (
            plain(view.id),
            coloured(view.status),
            str(view.generation),
            plain(view.promise.get("version", "")),
            shown(view.updated),
        )
        async for view in views
    )
    columns = ("resource", "status", "generation", "version", "updated")
    if not await print_long_table(columns, rows, heading=heading) and heading:
        typer.echo("No resources found.")


async def _show_operations(
    views: AsyncIterator[OperationView], output: Output, *, heading: bool = True
) -> None:
    if output is Output.JSON:
        await print_json_items(views)
        return
    rows = (
        (
            plain(view.id),
            coloured(view.status),
            plain(title_of(view)),
            plain(summary_of(view)),
            shown(view.updated),
        )
        async for view in views
    )
    columns = ("operation", "status", "about", "detail", "updated")
    if not await print_long_table(columns, rows, heading=heading) and heading:
        typer.echo("No operations found.")
