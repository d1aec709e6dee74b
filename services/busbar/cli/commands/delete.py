"""``busbar delete``."""

import asyncio
from typing import Annotated

import typer

from busbar.cli.shared.confirm import YesOption
from busbar.cli.shared.connect import call
from busbar.cli.shared.documents import read_documents
from busbar.cli.shared.exits import ExitCode, usage
from busbar.cli.shared.files import read_file
from busbar.cli.shared.ids import resource_id
from busbar.cli.shared.limit import TimeLimit
from busbar.cli.shared.losses import agree, losses_of_deleting
from busbar.cli.shared.options import EventIdOption, TimeoutOption, WaitOption, options_of
from busbar.cli.shared.outcome import follow_all, print_accepted, print_partial
from busbar.cli.shared.output import Output, OutputOption
from busbar.kernel.resource import ResourceId
from busbar.sdk import Client, Receipt

EXAMPLES = (
    "busbar delete payments/dev/event-stream/orders",
    "busbar delete -f orders.yaml --yes",
)


def command(
    context: typer.Context,
    *,
    resource: Annotated[
        str | None,
        typer.Argument(
            help="The resource's id: team/environment/promise/name.", show_default=False
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--file",
            "-f",
            help="A YAML or JSON file: delete the resources in it; - reads standard input.",
        ),
    ] = None,
    yes: YesOption = False,
    event_id: EventIdOption = None,
    expected_generation: Annotated[
        int | None, typer.Option(min=0, help="Delete only if the resource is at this generation.")
    ] = None,
    wait: WaitOption = True,
    timeout: TimeoutOption = 300,
    output: OutputOption = Output.TABLE,
) -> None:
    """Delete a resource, or those in a file, and wait for the result.

    What is deleted with data in it is named first, and has to be confirmed; --yes answers that. The
    resources of a file are deleted from the last to the first.

    Exit codes: 0 deleted, 3 denied, 4 failed and compensated, 5 stuck or still running. With
    several resources, the highest one.
    """
    resources = _resources(resource, file)
    limit = TimeLimit(timeout)

    async def body(client: Client) -> ExitCode:
        if not yes:
            agree(await losses_of_deleting(client, resources), limit=limit)
        accepted: list[Receipt] = []
        for number, one in enumerate(resources, start=1):
            several = event_id is not None and len(resources) > 1
            own = f"{event_id}-{number}" if several else event_id
            try:
                receipt = await client.delete(
                    one, expected_generation=expected_generation, event_id=own
                )
            except (Exception, asyncio.CancelledError):
                failed = one if own is None else f"{one}, id {own}"
                print_partial(accepted, len(resources), failed=failed)
                raise
            accepted.append(receipt)
        if wait:
            return await follow_all(client, accepted, limit=limit, output=output)
        print_accepted(accepted, output)
        return ExitCode.OK

    raise typer.Exit(call(options_of(context), body, limit=limit))


def _resources(resource: str | None, file: str | None) -> list[str]:
    """Return the ids to delete.

    Raises:
        CommandError: there is not exactly one of ``resource`` and ``file``, or one is not valid.
    """
    if (resource is None) == (file is None):
        raise usage(
            "Name either a resource or a file.",
            fix="Write busbar delete RESOURCE, or busbar delete -f FILE.",
        )
    if file is None:
        return [resource_id(str(resource))]
    found: list[str] = []
    for document in read_documents(read_file(file), file="standard input" if file == "-" else file):
        data = document.data
        named = ResourceId.named_in(data.get("data") if "specversion" in data else data)
        if named is None:
            raise usage(
                f"{document.at(())}: document {document.number} names no resource.",
                fix="Write team, environment, promise and name; nothing was deleted.",
            )
        found.append(str(named))
    return list(reversed(list(dict.fromkeys(found))))
