"""The root of the command: knows every command's name and help, and loads only the one that runs.

Loading all of them would cost every `busbar --help` and every completion most of a second.
"""

import importlib
import inspect
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from busbar.cli.shared.failures import handle
from busbar.cli.shared.options import hoist_global_options, options_of


@dataclass(frozen=True, slots=True)
class Entry:
    """A command: where it is, what it does, and which panel of the help lists it.

    The module has a function ``command`` or a typer application ``app``, and ``EXAMPLES``.
    """

    module: str
    help: str
    panel: str


USE, PROVE, RUN = "Use the platform", "Look back and prove", "Run the platform"

COMMANDS: dict[str, Entry] = {
    "apply": Entry("apply", "Ask for what a file describes, and wait for the outcome.", USE),
    "get": Entry("get", "Show resources and operations.", USE),
    "delete": Entry("delete", "Ask for a resource to go away, and wait for the outcome.", USE),
    "operation": Entry("operation", "Show an operation, or wait for its outcome.", USE),
    "watch": Entry("watch", "Show facts as they come.", USE),
    "subscribe": Entry("subscribe", "Have facts about a team delivered to a URL, signed.", USE),
    "unsubscribe": Entry("unsubscribe", "Stop delivering to a subscription.", USE),
    "why": Entry("why", "Explain a resource or an operation, step by step, with proof.", PROVE),
    "state": Entry("state", "Show the resources as they were at a time.", PROVE),
    "replay": Entry("replay", "Rebuild the state from the audit log and compare.", PROVE),
    "audit": Entry("audit", "Check that the audit log is complete.", PROVE),
    "dead-letters": Entry(
        "dead_letters", "Look at what could not be handled, and have it tried again.", PROVE
    ),
    "demo": Entry("demo", "See everything in six acts, on a real Kafka.", RUN),
    "up": Entry("up", "Run the whole platform on this machine.", RUN),
    "status": Entry("status", "Show what the platform is doing, live.", RUN),
    "doctor": Entry("doctor", "Check whether `busbar up` can work here, and what is missing.", RUN),
    "rules": Entry("rules", "Check and list house rules.", RUN),
    "secrets": Entry("secrets", "Store, list, show and remove secrets, by name.", RUN),
    "migrate": Entry("migrate", "Make or change the tables in PostgreSQL.", RUN),
    "run": Entry("run", "Run one service.", RUN),
    "health": Entry("health", "Ask services whether they are ready.", RUN),
    "schema": Entry(
        "schema", "List the messages that producers publish and subscribers receive.", RUN
    ),
    "version": Entry("version", "Show the version.", RUN),
}


def load(name: str) -> Any:
    """The command ``name``, ready to run."""
    entry = COMMANDS[name]
    module = importlib.import_module(f"busbar.cli.commands.{entry.module}")
    holder = typer.Typer(add_completion=False)
    holder.callback()(lambda: None)
    epilog = "\n\n".join(f"Example: [bold]{example}[/]" for example in module.EXAMPLES)
    if hasattr(module, "app"):
        holder.add_typer(module.app, name=name, epilog=epilog)
    else:
        holder.command(name=name, help=_unwrap(module.command), epilog=epilog)(module.command)
    group = typer.main.get_command(holder)
    return group.commands[name] if isinstance(group, TyperGroup) else group


def _unwrap(command: Any) -> str:
    """The documentation of ``command`` with a line per paragraph: the terminal wraps it."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


class Root(TyperGroup):
    """``busbar``."""

    def __init__(self, **attributes: Any) -> None:
        """Know the commands by name and help."""
        super().__init__(**attributes)
        for name, entry in COMMANDS.items():
            self.add_command(TyperCommand(name, help=entry.help, rich_help_panel=entry.panel), name)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Let global options stand anywhere."""
        return super().parse_args(ctx, hoist_global_options(args))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Load the command that is meant."""
        name, known, rest = super().resolve_command(ctx, args)
        return name, known if name is None else load(name), rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error becomes a sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            code = handle(error, debug=options_of(ctx).debug)
            if code is None:
                raise
            raise typer.Exit(code) from error
