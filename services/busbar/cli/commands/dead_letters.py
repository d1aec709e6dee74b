"""``busbar dead-letters``."""

import asyncio
from collections.abc import Awaitable
from typing import Annotated, Any, Protocol

import typer

from busbar.cli.shared.connect import call
from busbar.cli.shared.exits import CommandError, ExitCode
from busbar.cli.shared.options import options_of
from busbar.cli.shared.output import (
    Output,
    OutputOption,
    console,
    plain,
    print_fields,
    print_json,
    print_table,
)
from busbar.sdk import Client, DeadLetter

EXAMPLES = ("busbar dead-letters list --service policy",)

app = typer.Typer(
    help="Look at what could not be handled; mend it.",
    no_args_is_help=True,
    add_completion=False,
)

_LOOK_SECONDS = 0.25

Letter = Annotated[str, typer.Argument(help="The dead letter's id.", metavar="LETTER")]


@app.command("list", epilog="Example: [bold]busbar dead-letters list --service policy[/]")
def list_letters(
    context: typer.Context,
    service: Annotated[str | None, typer.Option(help="Those of this service.")] = None,
    waiting: Annotated[
        bool, typer.Option("--waiting", help="Only those that are neither handled nor discarded.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """List dead letters.

    A letter with a sequence holds that sequence up: what came behind it waits, too. Such sequences
    are tried again by themselves, less and less often; redriving any letter tries it now.
    """

    async def body(client: Client) -> list[DeadLetter]:
        return [letter async for letter in client.dead_letters(service=service)]

    found = call(options_of(context), body)
    letters = [one for one in found if not (waiting and _state(one) in _OVER)]
    if output is Output.JSON:
        print_json(letters)
        return
    if not letters:
        typer.echo("There are no dead letters.")
        return
    rows = [
        (
            plain(letter.letter),
            plain(letter.service),
            plain(f"{letter.topic}/{letter.partition}/{letter.offset}"),
            plain(letter.reason),
            plain(letter.sequence or ""),
            plain(_state(letter)),
            plain(letter.time),
        )
        for letter in letters
    ]
    print_table(("letter", "service", "record", "reason", "sequence", "state", "time"), rows)


@app.command(
    epilog="Example: [bold]busbar dead-letters show 22222222-2222-5222-8222-222222222222[/]"
)
def show(context: typer.Context, letter: Letter, output: OutputOption = Output.TABLE) -> None:
    """Show one dead letter with the record it holds."""
    found = call(options_of(context), lambda client: client.dead_letter(letter))
    if output is Output.JSON:
        print_json(found)
        return
    print_fields(found.model_dump(exclude={"record"}))
    out, record = console(), found.record or {}
    out.print(f"key     {plain(record.get('key'))}")
    for name, value in record.get("headers", []):
        out.print(f"header  {plain(name)}: {plain(value)}")
    out.print(f"value   {plain(record.get('value'))}")


@app.command(
    epilog="Example: [bold]busbar dead-letters redrive 22222222-2222-5222-8222-222222222222[/]"
)
def redrive(
    context: typer.Context,
    letter: Letter,
    wait: Annotated[bool, typer.Option(help="Wait for the outcome.")] = True,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait at the most.")] = 60,
    output: OutputOption = Output.TABLE,
) -> None:
    """Have a dead letter handled again, as if its record had just arrived.

    If it waits in a sequence, what comes before it is handled first. The exit code tells how it
    went: 0 handled, 4 failed again, 5 no outcome in time.
    """
    _ask(context, letter, Client.redrive, "handled", wait=wait, timeout=timeout, output=output)


@app.command(
    epilog="Example: [bold]busbar dead-letters discard 22222222-2222-5222-8222-222222222222[/]"
)
def discard(
    context: typer.Context,
    letter: Letter,
    wait: Annotated[bool, typer.Option(help="Wait for the outcome.")] = True,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait at the most.")] = 60,
    output: OutputOption = Output.TABLE,
) -> None:
    """Give a dead letter up for good, so that what waits behind it goes on without it.

    The letter itself is kept. The exit code tells how it went: 0 discarded, 4 nothing waited for
    it, 5 no outcome in time.
    """
    _ask(context, letter, Client.discard, "discarded", wait=wait, timeout=timeout, output=output)


class _Send(Protocol):
    def __call__(self, client: Client, /, letter: str, *, service: str) -> Awaitable[object]: ...


def _ask(
    context: typer.Context,
    letter: str,
    send: _Send,
    hoped_for: str,
    *,
    wait: bool,
    timeout: float,
    output: Output,
) -> None:
    async def body(client: Client) -> DeadLetter:
        before = await client.dead_letter(letter)
        await send(client, letter, service=before.service)
        if not wait:
            return before
        try:
            async with asyncio.timeout(timeout):
                return await _redriven(client, before)
        except TimeoutError:
            raise CommandError(
                f"{before.service} has not answered for the letter after {timeout:g} seconds.",
                fix="Check that the service runs: `busbar doctor`.",
                code=ExitCode.STUCK,
            ) from None

    found = call(options_of(context), body)
    outcome = _outcome(found) if wait else "asked for"
    if output is Output.JSON:
        print_json(found)
    else:
        typer.echo(f"{outcome}  {_detail(found) if wait else ''}".rstrip())
    if wait and outcome != hoped_for:
        raise typer.Exit(ExitCode.FAILED)


async def _redriven(client: Client, before: DeadLetter) -> DeadLetter:
    """The letter once it has one outcome more than ``before``."""
    while True:
        now = await client.dead_letter(before.letter)
        if len(now.redriven) > len(before.redriven):
            return now
        await asyncio.sleep(_LOOK_SECONDS)


def _last(letter: DeadLetter) -> dict[str, Any]:
    last = letter.redriven[-1] if letter.redriven else {}
    return last if isinstance(last, dict) else {"outcome": last}


_OVER = frozenset({"handled", "discarded", "recovered"})


def _state(letter: DeadLetter) -> str:
    """What has become of it so far."""
    outcome = _outcome(letter)
    if outcome in _OVER:
        return outcome
    if letter.recovered:
        return "recovered"
    return outcome or ("behind" if letter.behind else "waiting")


def _outcome(letter: DeadLetter) -> str:
    return str(_last(letter).get("outcome", ""))


def _detail(letter: DeadLetter) -> str:
    return str(_last(letter).get("detail", ""))
