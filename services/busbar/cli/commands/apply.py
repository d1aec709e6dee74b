"""``busbar apply``."""

import asyncio
from typing import Annotated

import typer

from busbar.cli.shared.confirm import YesOption
from busbar.cli.shared.connect import call, source_of
from busbar.cli.shared.documents import events_of, read_documents
from busbar.cli.shared.exits import ExitCode
from busbar.cli.shared.files import read_file
from busbar.cli.shared.limit import TimeLimit
from busbar.cli.shared.losses import agree, losses_of_publishing
from busbar.cli.shared.options import EventIdOption, TimeoutOption, WaitOption, options_of
from busbar.cli.shared.outcome import follow_all, print_accepted, print_partial
from busbar.cli.shared.output import Output, OutputOption
from busbar.runtime.core.clock import SystemClock
from busbar.sdk import Client, Receipt

EXAMPLES = (
    "busbar apply -f orders.yaml",
    "busbar apply -f - --id deploy-42 --no-wait < orders.yaml",
)


def command(
    context: typer.Context,
    *,
    file: Annotated[
        str, typer.Option("--file", "-f", help="A YAML or JSON file; - reads standard input.")
    ],
    event_id: EventIdOption = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="The CloudEvents source: a URI of the producer.",
            show_default="urn:busbar:cli:<user>, or that of --as",
        ),
    ] = None,
    yes: YesOption = False,
    wait: WaitOption = True,
    timeout: TimeoutOption = 300,
    output: OutputOption = Output.TABLE,
) -> None:
    """Apply the resources in a file and wait for the result.

    The file holds one or more YAML documents, separated by `---`, or one JSON document. A document
    is a resource (team, environment, promise, name, spec, and optionally version) or a whole
    CloudEvent. Nothing is published unless every document is valid.

    A change that deletes data, such as one that leaves out a step, names what it deletes and asks;
    --yes answers that.

    Ctrl-C ends the command, not the operations: it prints how to follow them.

    Exit codes: 0 succeeded, 3 denied, 4 failed and compensated, 5 stuck or still running. With
    several documents, the highest one.
    """
    documents = read_documents(read_file(file), file="standard input" if file == "-" else file)
    source = source or source_of(options_of(context))
    now = SystemClock().now()
    events = events_of(documents, source=source, event_id=event_id, time=now)
    limit = TimeLimit(timeout)

    async def body(client: Client) -> ExitCode:
        if not yes:
            agree(await losses_of_publishing(client, events), limit=limit)
        accepted: list[Receipt] = []
        for event in events:
            try:
                accepted.append(await client.publish(event))
            except (Exception, asyncio.CancelledError):
                failed = f"{event.subject or event.type}, id {event.id}"
                print_partial(accepted, len(events), failed=failed)
                raise
        if wait:
            return await follow_all(client, accepted, limit=limit, output=output)
        print_accepted(accepted, output)
        return ExitCode.OK

    raise typer.Exit(call(options_of(context), body, source=source, limit=limit))
