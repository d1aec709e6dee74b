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
    about: Annotated[str, typer.Argument(help="A resource's or an operation's id.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Explain a resource or an operation, step by step, with proof.

    Every sentence names the record it comes from: topic/partition/offset.
    """
    sentences = call(options_of(context), lambda client: client.why(about))
    if not sentences:
        raise CommandError(
            f"The audit log knows nothing of {about}.",
            fix="Check the id: `busbar get` lists resources, `busbar get operations` operations.",
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
