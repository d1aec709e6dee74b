"""``busbar why``."""

from typing import Annotated

import typer

from busbar.cli.shared.connect import call
from busbar.cli.shared.ids import resource_or_operation_id
from busbar.cli.shared.options import options_of
from busbar.cli.shared.output import Output, OutputOption, console, plain, print_json_items
from busbar.cli.shared.progress import DelayedStatus
from busbar.sdk import Client, Sentence

EXAMPLES = (
    "busbar why payments/dev/event-stream/orders --last 1",
    "busbar why 0b6f8e0e-2b53-5d6e-8a53-6f5f4c1f9a10",
)


def command(
    context: typer.Context,
    about: Annotated[
        str,
        typer.Argument(
            help="The id of a resource or an operation, or topic/partition/offset of a refused"
            " intent."
        ),
    ],
    last: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1000,
            help="Only this number of the resource's newest operations.",
            show_default="all of them",
        ),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Explain what happened to a resource or an operation, and why.

    A resource is explained operation by operation, in the order in which they began.

    Every sentence names the record that proves it, as topic/partition/offset.
    """
    about = resource_or_operation_id(about)

    async def body(client: Client) -> None:
        async with DelayedStatus(output) as status:
            found = client.why(about, last=last, progress=status.progress)
            sentences = status.until_first(found)
            if output is Output.JSON:
                await print_json_items(sentences)
                return
            async for sentence in sentences:
                _show(sentence)

    call(options_of(context), body)


def _show(sentence: Sentence) -> None:
    proof = f"{sentence.topic}/{sentence.partition}/{sentence.offset}" if sentence.topic else ""
    out = console()
    out.print(f"[dim]{plain(sentence.time)}[/]  {plain(sentence.text)}")
    if proof:
        out.print(f"    [dim]{plain(proof)}[/]")
