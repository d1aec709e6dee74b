"""Asks before something that cannot be taken back."""

import sys
from typing import Annotated

import typer

from busbar.cli.shared.exits import CommandError, ExitCode, usage
from busbar.cli.shared.files import standard_input

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def confirm(question: str, *, yes: bool) -> None:
    """Return if ``yes``, or if the person at the terminal agrees.

    Raises:
        CommandError: the answer is no, or there is no answer.
    """
    if yes:
        return
    try:
        standard_input()
        agreed = typer.confirm(question, err=True)
    except (typer.Abort, CommandError):
        if sys.stdin is None or not sys.stdin.isatty():
            typer.echo(err=True)  # no answer has ended the line of the question
        raise usage(
            "The question was not answered.", fix="Add --yes to go on without it."
        ) from None
    if not agreed:
        raise CommandError(
            "Nothing was done.", fix="Answer y, or add --yes, to go on.", code=ExitCode.USAGE
        )
