"""``busbar schema``."""

import typer

from busbar.cli.shared.output import Output, OutputOption, plain, print_json, print_table
from busbar.messages.base import Intent, Message
from busbar.messages.catalogue import MESSAGES

EXAMPLES = ("busbar schema list",)

app = typer.Typer(
    help="List the message types of the platform.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.callback()
def root() -> None:
    """List the message types of the platform."""


@app.command("list")
def list_messages(output: OutputOption = Output.TABLE) -> None:
    """List every message type with its kind (intent or fact), status and topic."""
    rows = [_row(message) for message in MESSAGES]
    if output is Output.JSON:
        print_json(rows)
        return
    columns = ("type", "kind", "status", "topic")
    print_table(columns, [[plain(row[column]) for column in columns] for row in rows])


def _row(message: type[Message]) -> dict[str, str]:
    return {
        "type": message.TYPE,
        "kind": "intent" if issubclass(message, Intent) else "fact",
        "topic": message.TOPIC,
        "status": message.STATUS,
    }
