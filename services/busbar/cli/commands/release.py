"""``busbar release``."""

from typing import Annotated

import typer

from busbar.cli.shared.confirm import YesOption, confirm
from busbar.cli.shared.ids import resource_id
from busbar.cli.shared.options import EventIdOption, TimeoutOption, WaitOption
from busbar.cli.shared.output import Output, OutputOption
from busbar.cli.shared.request import request

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
    request(
        context,
        lambda client: client.release(resource, event_id=event_id),
        wait=wait,
        timeout=timeout,
        output=output,
    )
