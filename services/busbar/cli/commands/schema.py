"""``busbar schema``."""

import json
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from busbar.messages.base import Intent, Message
from busbar.messages.catalogue import MESSAGES

EXAMPLES = ("busbar schema list",)

app = typer.Typer(
    help="List the message types of the platform.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


class Output(StrEnum):
    """Output formats."""

    TABLE = "table"
    JSON = "json"


@app.callback()
def root() -> None:
    """List the message types of the platform."""


@app.command("list")
def list_messages(
    output: Annotated[
        Output, typer.Option("--output", "-o", help="A table for people or JSON for programs.")
    ] = Output.TABLE,
) -> None:
    """List every message type with its kind (intent or fact), status and topic."""
    rows = [_row(message) for message in MESSAGES]
    if output is Output.JSON:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    columns = ("type", "kind", "status", "topic")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column != "topic")
    for row in rows:
        table.add_row(*(escape(row[column]) for column in columns))
    Console(soft_wrap=True, highlight=False, emoji=False).print(table)


def _row(message: type[Message]) -> dict[str, str]:
    return {
        "type": message.TYPE,
        "kind": "intent" if issubclass(message, Intent) else "fact",
        "topic": message.TOPIC,
        "status": message.STATUS,
    }
