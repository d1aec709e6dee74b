"""``busbar version``."""

import platform

import typer

from busbar.cli.shared.output import Output, OutputOption, print_json
from busbar.messages.base import FORMATS
from busbar.runtime.core.version import VERSION, version_text

EXAMPLES = ("busbar version",)


def command(output: OutputOption = Output.TABLE) -> None:
    """Show the version, and whether its formats are drafts."""
    if output is Output.JSON:
        found = {"busbar": VERSION, "python": platform.python_version(), "formats": FORMATS}
        print_json(found)
        return
    typer.echo(version_text())
