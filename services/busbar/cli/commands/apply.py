"""``busbar apply``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from busbar.cli.shared.connect import call, default_source
from busbar.cli.shared.documents import events_of, read_documents
from busbar.cli.shared.exits import ExitCode, usage
from busbar.cli.shared.options import options_of
from busbar.cli.shared.outcome import follow_all, print_accepted
from busbar.cli.shared.output import Output, OutputOption, errors, plain
from busbar.messages.envelope import Envelope
from busbar.runtime.core.clock import SystemClock
from busbar.sdk import Accepted, Client

EXAMPLES = (
    "busbar apply -f orders.yaml",
    "busbar apply -f - --id deploy-42 --no-wait < orders.yaml",
)


def command(
    context: typer.Context,
    *,
    file: Annotated[
        str, typer.Option("--file", "-f", help="YAML or JSON, also several documents; - is stdin.")
    ],
    event_id: Annotated[
        str | None,
        typer.Option("--id", help="The intent's id. The same id again is the same intent."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="The producer, a URI.", show_default="urn:busbar:cli:<user>"),
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the outcome.")] = True,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait at the most.")] = 300,
    output: OutputOption = Output.TABLE,
) -> None:
    """Ask for what a file describes, and wait for the outcome.

    A document is a plain intent (team, environment, promise, name, spec and perhaps version) or a
    whole CloudEvent. Nothing is published unless every document can be read. The exit code is the
    worst outcome: 0 succeeded, 3 denied, 4 failed and compensated, 5 stuck or still running.
    """
    source = source or default_source()
    documents = read_documents(_read(file))
    now = SystemClock().now()
    events = events_of(documents, source=source, event_id=event_id, time=now)

    async def body(client: Client) -> ExitCode:
        accepted: list[Accepted] = []
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


def _report_partial(accepted: list[Accepted], events: list[Envelope]) -> None:
    """Name what has been published before the error that follows."""
    for one in accepted:
        errors().print(f"published before the error: operation {plain(one.operation)}")
    if len(events) > 1:
        errors().print(f"{len(accepted)} of {len(events)} documents were published.")


def _read(file: str) -> str:
    try:
        if file == "-":
            return sys.stdin.read()
        return Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise usage(
            f"Cannot read {file}: {error.strerror}.", fix="Name a file that is there, or -."
        ) from error
    except UnicodeDecodeError as error:
        raise usage(f"{file} is not UTF-8.", fix="Save it as UTF-8.") from error
