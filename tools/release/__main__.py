"""``make release VERSION=1.2.3``, and ``python -m tools.release record REV``."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from busbar.kernel.errors import ConfigurationError
from tools.contracts.names import find_root
from tools.release.cut import release
from tools.release.record import build_of, record
from tools.release.version import Version

app = typer.Typer(
    help="Releases: one commit and one tag, made together or not at all; and recorded builds.",
    no_args_is_help=True,
)

Root = Annotated[
    Path | None,
    typer.Option(
        help="The checkout; by default the nearest folder above that has schemas/ and services/.",
        show_default=False,
    ),
]


@app.command("make")
def make_release(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Such as 1.2.3.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done, and change nothing.")
    ] = False,
    root: Root = None,
) -> None:
    """Release VERSION from the branch main: changelog, versions, frozen formats, commit and tag.

    Nothing is pushed. If anything fails, everything is as it was.
    """
    with _explained():
        release(find_root(root), Version.parse(version), dry_run=dry_run, say=typer.echo)


@app.command("record")
def record_build(
    revision: Annotated[str, typer.Argument(metavar="REV", help="A commit, tag or branch.")],
    root: Root = None,
) -> None:
    """Record the code of REV as the build that the fault test old-and-new runs beside today's.

    The same commit gives the same files. A release does this by itself.
    """
    with _explained():
        place = find_root(root)
        for path in record(place, build_of(place, revision)):
            typer.echo(f"wrote   {path}")


@contextmanager
def _explained() -> Iterator[None]:
    """Print an error that the user can fix as its sentences, and exit with code 1."""
    try:
        yield
    except ConfigurationError as error:
        sys.stderr.write(f"error: {error.problem}\nfix: {error.fix}\n")
        raise typer.Exit(1) from error


if __name__ == "__main__":
    app(prog_name="python -m tools.release")
