"""``busbar state``."""

from enum import StrEnum
from typing import Annotated, Literal

import typer

from busbar.cli.commands.get import show_resources
from busbar.cli.shared.connect import call
from busbar.cli.shared.options import options_of
from busbar.cli.shared.output import Output, OutputOption, print_fields
from busbar.cli.shared.progress import DelayedStatus
from busbar.cli.shared.times import parse_time_argument
from busbar.runtime.core.clock import SystemClock
from busbar.sdk import Client

EXAMPLES = (
    'busbar state --at "10m ago"',
    "busbar state --at 2026-01-31T12:00:00Z payments/dev/event-stream/orders",
)


class By(StrEnum):
    """Which time decides."""

    RECORDED = "recorded"
    EVENT = "event"


def command(
    context: typer.Context,
    at: Annotated[
        str,
        typer.Option(help='The time: RFC 3339 with an offset, now, or "10m ago" (s, m, h, d, w).'),
    ],
    resource: Annotated[
        str | None, typer.Argument(help="A resource's id.", show_default="all resources")
    ] = None,
    by: Annotated[
        By, typer.Option(help="Use the time of recording, or the time in the events.")
    ] = By.RECORDED,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show resources as they were at a point in time.

    With `--by recorded`, the state is what the platform knew at that time; with `--by event`, what
    follows from the events that are dated up to it.
    """
    time = parse_time_argument(at, now=SystemClock().now())
    which: Literal["recorded", "event"] = "recorded" if by is By.RECORDED else "event"

    async def body(client: Client) -> None:
        async with DelayedStatus(output) as status:
            views = client.state_at(time, resource=resource, by=which, progress=status.progress)
            if output is Output.TABLE and resource is not None:
                async for view in views:
                    status.stop()
                    print_fields(view.model_dump(mode="json"))
                    return
            await show_resources(status.until_first(views), output)

    call(options_of(context), body)
