"""``busbar apply``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from busbar.cli.shared.connect import call, default_source
from busbar.cli.shared.documents import MAX_BYTES, events_of, read_documents
from busbar.cli.shared.exits import ExitCode, usage
from busbar.cli.shared.options import EventIdOption, TimeoutOption, WaitOption, options_of
from busbar.cli.shared.outcome import follow_all, print_accepted
from busbar.cli.shared.output import Output, OutputOption, errors, plain
from busbar.messages.envelope import Envelope
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
            show_default="urn:busbar:cli:<user>",
        ),
    ] = None,
    wait: WaitOption = True,
    timeout: TimeoutOption = 300,
    output: OutputOption = Output.TABLE,
) -> None:
    """Apply the resources in a file and wait for the result.

    The file holds one or more YAML documents, separated by `---`, or one JSON document. A document
    is a resource (team, environment, promise, name, spec, and optionally version) or a whole
    CloudEvent. Nothing is published unless every document is valid.

    Exit codes: 0 succeeded, 3 denied, 4 failed and compensated, 5 stuck or still running. With
    several documents, the highest one.
    """
    source = source or default_source()
    documents = read_documents(_read(file), file="standard input" if file == "-" else file)
    now = SystemClock().now()
    events = events_of(documents, source=source, event_id=event_id, time=now)

    async def body(client: Client) -> ExitCode:
        accepted: list[Receipt] = []
        for event in events:
            try:
                accepted.append(await client.publish(event))
            except Exception:
                _report_partial(accepted, events)
                raise
        if wait:
            return await follow_all(client, accepted, within=timeout, output=output)
        print_accepted(accepted, output)
        return ExitCode.OK

    raise typer.Exit(call(options_of(context), body, source=source))


def _report_partial(accepted: list[Receipt], events: list[Envelope]) -> None:
    """List what was published before the error that follows."""
    for one in accepted:
        errors().print(f"published before the error: operation {plain(one.operation)}")
    if len(events) > 1:
        errors().print(f"{len(accepted)} of {len(events)} documents were published.")


def _read(file: str) -> bytes:
    try:
        if file == "-":
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with Path(file).open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise usage(
            f"Cannot read {file}: {error.strerror}.",
            fix="Check the name, or use - for standard input.",
        ) from error
