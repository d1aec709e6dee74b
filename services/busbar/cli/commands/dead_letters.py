"""``busbar dead-letters``."""

from collections.abc import Awaitable
from typing import Annotated, Protocol

import typer

from busbar.cli.shared.connect import call
from busbar.cli.shared.options import TimeoutOption, WaitOption, options_of
from busbar.cli.shared.output import (
    Output,
    OutputOption,
    console,
    plain,
    print_fields,
    print_json,
    print_table,
)
from busbar.cli.shared.request import request
from busbar.cli.shared.times import shown
from busbar.sdk import Client, DeadLetter, Receipt

EXAMPLES = ("busbar dead-letters list --service policy",)

app = typer.Typer(
    help="List, show, redrive and discard messages that could not be handled.",
    no_args_is_help=True,
    add_completion=False,
)

DeadLetterId = Annotated[str, typer.Argument(help="The dead letter's id.", metavar="DEAD_LETTER")]


@app.command("list", epilog="Example: [bold]busbar dead-letters list --service policy[/]")
def list_dead_letters(
    context: typer.Context,
    service: Annotated[str | None, typer.Option(help="Only those of this service.")] = None,
    waiting: Annotated[
        bool, typer.Option("--waiting", help="Only those that were neither handled nor discarded.")
    ] = False,
    id_: Annotated[
        str | None,
        typer.Option("--id", help="Only those whose record claims this id of an event."),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List dead letters.

    A dead letter with an ordering key blocks that key: the records behind it are parked. Parked
    keys are retried automatically with growing delays; redriving any dead letter of a key retries
    the key immediately.
    """

    async def body(client: Client) -> list[DeadLetter]:
        return [dead_letter async for dead_letter in client.dead_letters(service=service)]

    found = call(options_of(context), body)
    dead_letters = [
        one
        for one in found
        if not (waiting and _state(one) in _FINISHED)
        and (id_ is None or (one.intent or {}).get("id") == id_)
    ]
    if output is Output.JSON:
        print_json(dead_letters)
        return
    if not dead_letters:
        typer.echo("No dead letters found.")
        return
    rows = [
        (
            plain(dead_letter.dead_letter),
            plain(dead_letter.service),
            plain(f"{dead_letter.topic}/{dead_letter.partition}/{dead_letter.offset}"),
            plain(dead_letter.reason),
            plain(dead_letter.ordering_key or ""),
            plain(_state(dead_letter)),
            shown(dead_letter.time),
        )
        for dead_letter in dead_letters
    ]
    print_table(
        ("dead_letter", "service", "record", "reason", "ordering_key", "state", "time"), rows
    )


@app.command(
    epilog="Example: [bold]busbar dead-letters show 22222222-2222-5222-8222-222222222222[/]"
)
def show(
    context: typer.Context, dead_letter: DeadLetterId, output: OutputOption = Output.TABLE
) -> None:
    """Show one dead letter with the record it holds."""
    found = call(options_of(context), lambda client: client.dead_letter(dead_letter))
    if output is Output.JSON:
        print_json(found)
        return
    print_fields(found.model_dump(exclude={"record"}))
    out, record = console(), found.record
    if found.refused:
        out.print("The record could not be read: its source and id are what it claims.")
    out.print(f"key     {plain(record.key)}")
    for name, value in record.headers:
        out.print(f"header  {plain(name)}: {plain(value)}")
    out.print(f"value   {plain(record.value)}")


@app.command(
    epilog="Example: [bold]busbar dead-letters redrive 22222222-2222-5222-8222-222222222222[/]"
)
def redrive(
    context: typer.Context,
    dead_letter: DeadLetterId,
    wait: WaitOption = True,
    timeout: TimeoutOption = 60,
    output: OutputOption = Output.TABLE,
) -> None:
    """Handle a dead letter again, as if its record had just arrived.

    If its ordering key is parked, the records before it are handled first. Exit codes: 0 handled,
    4 failed again, 5 no result in time.
    """
    _request(context, dead_letter, Client.redrive, wait=wait, timeout=timeout, output=output)


@app.command(
    epilog="Example: [bold]busbar dead-letters discard 22222222-2222-5222-8222-222222222222[/]"
)
def discard(
    context: typer.Context,
    dead_letter: DeadLetterId,
    wait: WaitOption = True,
    timeout: TimeoutOption = 60,
    output: OutputOption = Output.TABLE,
) -> None:
    """Discard a dead letter permanently, so that the records behind it are handled without it.

    The operation that waits for it ends as denied or failed, with the reason `discarded`. That also
    clears one that parks no records and whose redrive failed. The dead letter stays in the list.
    Exit codes: 0 discarded; 4 it was handled or discarded before, or the operation could not be
    ended; 5 no result in time.
    """
    _request(context, dead_letter, Client.discard, wait=wait, timeout=timeout, output=output)


class _Send(Protocol):
    def __call__(
        self, client: Client, /, dead_letter: str, *, service: str
    ) -> Awaitable[Receipt]: ...


def _request(
    context: typer.Context,
    dead_letter: str,
    send: _Send,
    *,
    wait: bool,
    timeout: float,
    output: Output,
) -> None:
    async def to_its_service(client: Client) -> Receipt:
        service = (await client.dead_letter(dead_letter)).service
        return await send(client, dead_letter, service=service)

    request(context, to_its_service, wait=wait, timeout=timeout, output=output)


_FINISHED = frozenset({"handled", "discarded", "recovered"})


def _state(dead_letter: DeadLetter) -> str:
    outcome = _outcome(dead_letter)
    if outcome in _FINISHED:
        return outcome
    if dead_letter.recovered:
        return "recovered"
    return outcome or ("behind" if dead_letter.behind else "waiting")


def _outcome(dead_letter: DeadLetter) -> str:
    return dead_letter.redriven[-1].outcome if dead_letter.redriven else ""
