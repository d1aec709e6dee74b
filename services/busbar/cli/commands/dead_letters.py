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

_POLL_SECONDS = 0.25

DeadLetterId = Annotated[str, typer.Argument(help="The dead letter's id.", metavar="DEAD_LETTER")]


@app.command("list", epilog="Example: [bold]busbar dead-letters list --service policy[/]")
def list_dead_letters(
    context: typer.Context,
    service: Annotated[str | None, typer.Option(help="Those of this service.")] = None,
    waiting: Annotated[
        bool, typer.Option("--waiting", help="Only those that are neither handled nor discarded.")
    ] = False,
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
    dead_letters = [one for one in found if not (waiting and _state(one) in _FINISHED)]
    if output is Output.JSON:
        print_json(dead_letters)
        return
    if not dead_letters:
        typer.echo("There are no dead letters.")
        return
    rows = [
        (
            plain(dead_letter.dead_letter),
            plain(dead_letter.service),
            plain(f"{dead_letter.topic}/{dead_letter.partition}/{dead_letter.offset}"),
            plain(dead_letter.reason),
            plain(dead_letter.ordering_key or ""),
            plain(_state(dead_letter)),
            plain(dead_letter.time),
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
    dead_letter: DeadLetterId,
    wait: Annotated[bool, typer.Option(help="Wait for the outcome.")] = True,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait at the most.")] = 60,
    output: OutputOption = Output.TABLE,
) -> None:
    """Handle a dead letter again, as if its record had just arrived.

    If its ordering key is parked, the records before it are handled first. Exit codes: 0 handled,
    4 failed again, 5 no outcome in time.
    """
    _request(
        context, dead_letter, Client.redrive, "handled", wait=wait, timeout=timeout, output=output
    )


@app.command(
    epilog="Example: [bold]busbar dead-letters discard 22222222-2222-5222-8222-222222222222[/]"
)
def discard(
    context: typer.Context,
    dead_letter: DeadLetterId,
    wait: Annotated[bool, typer.Option(help="Wait for the outcome.")] = True,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait at the most.")] = 60,
    output: OutputOption = Output.TABLE,
) -> None:
    """Discard a dead letter permanently, so that the records behind it are handled without it.

    The dead letter itself is kept. Exit codes: 0 discarded, 4 nothing was parked behind it, 5 no
    outcome in time.
    """
    _request(
        context, dead_letter, Client.discard, "discarded", wait=wait, timeout=timeout, output=output
    )


class _Send(Protocol):
    def __call__(
        self, client: Client, /, dead_letter: str, *, service: str
    ) -> Awaitable[object]: ...


def _request(
    context: typer.Context,
    dead_letter: str,
    send: _Send,
    hoped_for: str,
    *,
    wait: bool,
    timeout: float,
    output: Output,
) -> None:
    async def body(client: Client) -> DeadLetter:
        before = await client.dead_letter(dead_letter)
        await send(client, dead_letter, service=before.service)
        if not wait:
            return before
        try:
            async with asyncio.timeout(timeout):
                return await _redriven(client, before)
        except TimeoutError:
            raise CommandError(
                f"{before.service} has not answered for the dead letter after {timeout:g} seconds.",
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
    """The dead letter once it has one outcome more than ``before``."""
    while True:
        now = await client.dead_letter(before.dead_letter)
        if len(now.redriven) > len(before.redriven):
            return now
        await asyncio.sleep(_POLL_SECONDS)


def _last(dead_letter: DeadLetter) -> dict[str, Any]:
    last = dead_letter.redriven[-1] if dead_letter.redriven else {}
    return last if isinstance(last, dict) else {"outcome": last}


_FINISHED = frozenset({"handled", "discarded", "recovered"})


def _state(dead_letter: DeadLetter) -> str:
    """What has become of it so far."""
    outcome = _outcome(dead_letter)
    if outcome in _FINISHED:
        return outcome
    if dead_letter.recovered:
        return "recovered"
    return outcome or ("behind" if dead_letter.behind else "waiting")


def _outcome(dead_letter: DeadLetter) -> str:
    return str(_last(dead_letter).get("outcome", ""))


def _detail(dead_letter: DeadLetter) -> str:
    return str(_last(dead_letter).get("detail", ""))
