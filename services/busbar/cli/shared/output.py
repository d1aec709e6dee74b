"""Output: tables for people, JSON for programs; text from elsewhere never controls the terminal.

rich omits colours where the output is not a terminal, or where NO_COLOR is set.
"""

import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape

from busbar.cli.shared.tables import print_rows
from busbar.messages.http import DeadLetter
from busbar.messages.views import OperationView, ResourceView
from busbar.messages.webhooks import SubscriptionView

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

BLOCK_ROWS = 500
"""Rows of a long table that are printed together."""

_COLOURS = {
    "succeeded": "green",
    "ready": "green",
    "denied": "red",
    "failed": "red",
    "expired": "red",
    "stuck": "bold red",
    "offered": "green",
    "broken": "red",
    "deleted": "dim",
}


_ID_FIELDS = ("id", "dead_letter", "subscription", "operation")
_WITH_ID = (ResourceView, OperationView, DeadLetter, SubscriptionView)
"""What lists show: JSON has ``id`` and ``name`` of each."""


class Output(StrEnum):
    """Output formats."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="A table for people or JSON for programs.")
]


def console() -> Console:
    """Return a console on standard output."""
    return Console(soft_wrap=True, highlight=False, emoji=False)


def errors() -> Console:
    """Return a console on standard error, for errors and progress."""
    return Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)


def plain(value: object) -> str:
    """Return ``value`` as text, without markup or control characters."""
    text = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", str(value))
    return escape(text)


def coloured(status: str) -> str:
    """Return ``status`` as markup in its colour."""
    colour = _COLOURS.get(status, "yellow")
    return f"[{colour}]{plain(status)}[/]"


def print_json(value: Any) -> None:
    """Print ``value`` (models included) as one indented JSON document."""
    typer.echo(json.dumps(jsonable(value), indent=2, ensure_ascii=False))


async def print_json_items(items: AsyncIterator[Any]) -> None:
    """Print ``items`` as they come, as one indented JSON list."""
    begun = False
    async for item in items:
        text = json.dumps(jsonable(item), indent=2, ensure_ascii=False).replace("\n", "\n  ")
        typer.echo((",\n  " if begun else "[\n  ") + text, nl=False)
        begun = True
    typer.echo("\n]" if begun else "[]")


def print_json_line(value: Any) -> None:
    """Print ``value`` as one line of JSON."""
    typer.echo(json.dumps(jsonable(value), ensure_ascii=False))


def jsonable(value: Any) -> Any:
    """Return ``value`` with its models as plain JSON values."""
    if isinstance(value, BaseModel):
        item = value.model_dump(mode="json")
        return identified(item) if isinstance(value, _WITH_ID) else item
    if isinstance(value, Mapping):
        return {str(name): jsonable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return value


def identified(item: dict[str, Any]) -> dict[str, Any]:
    """Return ``item`` with ``id`` and ``name`` first; operations are named after the resource."""
    id_ = str(next(item[key] for key in _ID_FIELDS if item.get(key)))
    return {"id": id_, "name": item.get("resource") or id_.rpartition("/")[2], **item}


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, heading: bool = True
) -> None:
    """Print ``rows`` under ``columns``; cells are markup (see :func:`plain`)."""
    print_rows(columns, list(rows), widths=[0] * len(columns), heading=heading)


async def print_long_table(
    columns: Sequence[str], rows: AsyncIterator[Sequence[str]], *, heading: bool = True
) -> bool:
    """Print ``rows`` as they come, in blocks, under one heading; return whether there were any.

    The columns are as wide as the first block needs, or wider where a later one needs more.
    """
    block: list[Sequence[str]] = []
    widths = [0] * len(columns)
    begun = False
    async for row in rows:
        block.append(row)
        if len(block) == BLOCK_ROWS:
            widths = print_rows(columns, block, widths=widths, heading=heading and not begun)
            block, begun = [], True
    if block:
        print_rows(columns, block, widths=widths, heading=heading and not begun)
    return begun or bool(block)


def print_fields(fields: Mapping[str, object]) -> None:
    """Print names and values in two columns, without empty values."""
    shown = {name: value for name, value in fields.items() if value not in ("", None, {}, [], ())}
    width = max(map(len, shown), default=0)
    out = console()
    for name, value in shown.items():
        text = coloured(str(value)) if name == "status" else plain(as_text(value))
        out.print(f"{name.ljust(width)}  {text}")


def as_text(value: object) -> str:
    """Return ``value`` as text, lists and objects as JSON."""
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(jsonable(value), ensure_ascii=False)
    return str(value)
