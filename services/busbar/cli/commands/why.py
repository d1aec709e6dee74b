"""``busbar why``."""

from typing import Annotated

import typer

from busbar.cli.shared.connect import call
from busbar.cli.shared.exits import CommandError, ExitCode
from busbar.cli.shared.options import options_of
from busbar.cli.shared.output import Output, OutputOption, console, plain, print_json
from busbar.sdk import Sentence

EXAMPLES = (
    "busbar why payments/dev/event-stream/orders",
    "busbar why 0b6f8e0e-2b53-5d6e-8a53-6f5f4c1f9a10",
)


def command(
    context: typer.Context,
    about: Annotated[str, typer.Argument(help="The id of a resource or an operation.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Explain what happened to a resource or an operation, and why.

    Every sentence names the record that proves it, as topic/partition/offset.
    """
    sentences = call(options_of(context), lambda client: client.why(about))
    if not sentences:
        raise CommandError(
            f"The audit log has no record of {about}.",
            fix="Check the id: see `busbar get` and `busbar get operations`.",
            code=ExitCode.NOT_FOUND,
        )
    if output is Output.JSON:
        print_json(sentences)
        return
    for sentence in sentences:
        _show(sentence)


def _show(sentence: Sentence) -> None:
    proof = f"{sentence.topic}/{sentence.partition}/{sentence.offset}" if sentence.topic else ""
    out = console()
    out.print(f"[dim]{plain(sentence.time)}[/]  {plain(sentence.text)}")
    if proof:
        out.print(f"    [dim]{plain(proof)}[/]")
