"""``busbar version``."""

import platform

import typer

from busbar.cli.shared.output import Output, OutputOption, print_json
from busbar.runtime.core.version import VERSION, version_line

EXAMPLES = ("busbar version",)


def command(output: OutputOption = Output.TABLE) -> None:
    """Show the version."""
    if output is Output.JSON:
        print_json({"busbar": VERSION, "python": platform.python_version()})
        return
    typer.echo(version_line())
