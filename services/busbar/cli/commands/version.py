"""``busbar version``."""

import platform

import typer

import busbar
from busbar.cli.shared.output import Output, OutputOption, print_json

EXAMPLES = ("busbar version",)


def command(output: OutputOption = Output.TABLE) -> None:
    """Show the version."""
    if output is Output.JSON:
        print_json({"busbar": busbar.__version__, "python": platform.python_version()})
        return
    typer.echo(f"busbar {busbar.__version__} (Python {platform.python_version()})")
