"""The command ``busbar``."""

from pathlib import Path
from typing import Annotated

import typer

from busbar.cli.lazy import Root
from busbar.cli.shared.exits import MEANINGS
from busbar.cli.shared.options import Options

_EXIT_CODES = "\n".join(
    ["[bold]Exit codes[/]", *(f"{code.value}  {meaning}" for code, meaning in MEANINGS.items())]
)


def _version(asked: bool) -> None:
    if asked:
        from busbar.runtime.core.version import version_text  # noqa: PLC0415 - takes time

        typer.echo(version_text())
        raise typer.Exit


app = typer.Typer(
    cls=Root,
    name="busbar",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=(
        "Start with `busbar doctor`, `busbar up` and `busbar apply --help`. The options above may"
        " stand anywhere on the command line.\n\n" + _EXIT_CODES
    ),
)


@app.callback()
def root(
    context: typer.Context,
    *,
    url: Annotated[
        str | None,
        typer.Option(
            help="The gateway's URL.", show_default="BUSBAR_URL, or the gateway of `busbar up`"
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the bearer token.", show_default="BUSBAR_TOKEN, or <home>/token"
        ),
    ] = None,
    principal: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="NAME",
            help="Act as this principal, with its key.",
            show_default="BUSBAR_PRINCIPAL, or the administrator",
        ),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key",
            help="File with its private key.",
            show_default="BUSBAR_KEY_FILE, or <home>/keys/NAME.pem",
        ),
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option(help="The platform's folder.", show_default="BUSBAR_HOME, or .busbar"),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    version: Annotated[  # noqa: ARG001 - its callback prints it
        bool,
        typer.Option("--version", is_eager=True, callback=_version, help="Show the version."),
    ] = False,
) -> None:
    """The platform API on a message bus: publish an intent, get a resource, prove what happened."""
    context.obj = Options(
        url=url,
        token_file=token_file,
        principal=principal,
        key_file=key_file,
        home=home,
        debug=debug,
    )


def main() -> None:
    """Run the command and exit."""
    app(prog_name="busbar")
