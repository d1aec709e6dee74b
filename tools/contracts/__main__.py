"""``python -m tools.contracts``: generate and check the contracts of every message."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from busbar.kernel.errors import ConfigurationError
from busbar.messages.catalogue import MESSAGES
from tools.contracts.check import Report
from tools.contracts.check import check as run_check
from tools.contracts.generate import write
from tools.contracts.names import find_root
from tools.contracts.pages import PAGES

app = typer.Typer(
    help=(
        "Contracts: JSON Schemas, examples and AsyncAPI, generated from the message models.\n\n"
        "Edit services/busbar/messages, run [bold]make generate[/], then "
        "[bold]make check[/]. A released schema is frozen: only edits that break no reader and "
        "no writer are accepted; anything else is a new version beside it."
    ),
    no_args_is_help=True,
    rich_markup_mode="rich",
)

Root = Annotated[
    Path | None,
    typer.Option(
        help="The checkout; by default the nearest folder above that has schemas/ and services/.",
        show_default=False,
    ),
]


@app.command()
def generate(root: Root = None) -> None:
    """Write schemas/, contracts/asyncapi.yaml, contracts/openapi.json and docs/metrics.md.

    The vectors of signatures (contracts/signing-vectors.json) and the generated parts of
    compose.yaml, prometheus.yml, pyproject.toml and of the pages that say the status of a format
    are written as well. Only files that differ are written. Files of a removed draft are removed; a
    published schema without a message is an error, and then no schema is written.
    """
    out = _console()
    with _explained():
        place = find_root(root)
        changes = write(place, MESSAGES)
        pages = [str(page.path) for page in PAGES if page.write(place)]
        written = [*changes.written, *pages]
    for path in written:
        out.print(f"[green]wrote[/]   {escape(path)}")
    for path in changes.removed:
        out.print(f"[yellow]removed[/] {escape(path)}")
    if not written and not changes.removed:
        out.print("Everything was up to date.")


@app.command()
def check(
    root: Root = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="Compare with this commit, branch or tag instead of the last release.",
            show_default=False,
            metavar="REV",
        ),
    ] = None,
) -> None:
    """Refuse files that are out of date, and edits that break a published schema.

    Each published schema is compared with the last release, the highest tag v1.2.3 that HEAD
    contains. An intent may only be widened; a fact may only gain optional fields. Exit code 0:
    fine. 1: something is wrong, and the output says what to do.
    """
    with _explained():
        place = find_root(root)
        report = run_check(place, MESSAGES, against=against)
        stale = (page.finding for page in PAGES if not page.is_current(place))
        report = replace(report, findings=(*report.findings, *stale))
    _show(report, _console())
    if report.findings:
        raise typer.Exit(1)


def _show(report: Report, out: Console) -> None:
    for note in report.notes:
        out.print(f"[yellow]note:[/] {escape(note)}")
    for finding in report.findings:
        out.print(f"[red]✗[/] [bold]{escape(finding.path)}[/] {escape(finding.what)}")
        for detail in finding.details:
            out.print(f"    {escape(detail)}")
        out.print(f"  → {escape(finding.fix)}")
    if report.findings:
        out.print(f"[red]{len(report.findings)} problems.[/]")
        return
    out.print(
        f"[green]✓[/] {report.files} files are up to date; no edit breaks any of "
        f"{report.compared} released schemas."
    )


@contextmanager
def _explained() -> Iterator[None]:
    """Print an error that the user can fix as its sentence, and exit with code 1."""
    try:
        yield
    except ConfigurationError as error:
        Console(stderr=True, soft_wrap=True, highlight=False, emoji=False).print(
            f"[red]error:[/] {escape(str(error))}"
        )
        raise typer.Exit(1) from error


def _console() -> Console:
    return Console(soft_wrap=True, highlight=False, emoji=False)


if __name__ == "__main__":
    app(prog_name="python -m tools.contracts")
