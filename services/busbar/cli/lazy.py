"""The root command: knows the name and help of every command, and loads only the one that runs.

Loading all of them would slow down `busbar --help` and every completion by most of a second.
"""

import importlib
import inspect
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from busbar.cli.shared.failures import handle
from busbar.cli.shared.options import hoist_global_options, options_of, refuse_empty


@dataclass(frozen=True, slots=True)
class Entry:
    """A command's module, its line in the help, and the panel that lists it.

    The module has a function ``command`` or a typer application ``app``, and ``EXAMPLES``.
    """

    module: str
    help: str
    panel: str


_HELP = frozenset({"-h", "--help"})
_WITHOUT_SETTINGS = frozenset({"doctor"})

USE, PROVE, RUN = "Use the platform", "Explain and verify", "Run the platform"

COMMANDS: dict[str, Entry] = {
    "apply": Entry("apply", "Apply the resources in a file and wait for the result.", USE),
    "publish": Entry(
        "publish", "Sign the intents in a file and write them to Kafka, without the gateway.", USE
    ),
    "get": Entry("get", "List resources, operations, promises or subscriptions, or show one.", USE),
    "explain": Entry("explain", "Explain a promise: its fields, limits and an example.", USE),
    "delete": Entry("delete", "Delete a resource and wait for the result.", USE),
    "operation": Entry(
        "operation",
        "Show an operation or wait for its result; retry or abandon one that is stuck.",
        USE,
    ),
    "release": Entry("release", "Forget a resource without deleting what exists of it.", USE),
    "watch": Entry("watch", "Show facts as they are published.", USE),
    "subscribe": Entry(
        "subscribe", "Deliver facts about a team to a URL, as signed webhooks.", USE
    ),
    "unsubscribe": Entry("unsubscribe", "End a subscription.", USE),
    "subscription": Entry(
        "subscription",
        "List and test webhook subscriptions, show attempts, and deliver again.",
        USE,
    ),
    "why": Entry("why", "Explain what happened to a resource or an operation, and why.", PROVE),
    "state": Entry("state", "Show resources as they were at a point in time.", PROVE),
    "replay": Entry(
        "replay", "Rebuild the state from the audit log and compare it with the live state.", PROVE
    ),
    "audit": Entry("audit", "Check that the audit log is complete.", PROVE),
    "dead-letters": Entry(
        "dead_letters", "List, show, redrive and discard messages that could not be handled.", PROVE
    ),
    "demo": Entry("demo", "Show busbar in eight acts, on a real Kafka broker.", RUN),
    "up": Entry("up", "Run the whole platform on this machine.", RUN),
    "status": Entry("status", "Show what every process of the platform is doing, live.", RUN),
    "doctor": Entry("doctor", "Check whether `busbar up` can run here, and what is missing.", RUN),
    "promises": Entry("promises", "Check promise files.", RUN),
    "rules": Entry("rules", "Check and list house rules.", RUN),
    "environments": Entry("environments", "List the environments that intents can name.", RUN),
    "principals": Entry("principals", "List people, service accounts, bots and services.", RUN),
    "keys": Entry("keys", "Create, list and revoke the keys that principals sign with.", RUN),
    "erase": Entry("erase", "Make the personal data of a person unreadable, for good.", RUN),
    "secrets": Entry("secrets", "Store, list, show and remove secrets.", RUN),
    "migrate": Entry("migrate", "Create or update the tables in PostgreSQL.", RUN),
    "run": Entry("run", "Run one service.", RUN),
    "health": Entry("health", "Check whether services are ready.", RUN),
    "schema": Entry("schema", "List the message types of the platform.", RUN),
    "version": Entry("version", "Show the version.", RUN),
}


def load(name: str) -> Any:
    """Return the command ``name``, ready to run."""
    entry = COMMANDS[name]
    module = importlib.import_module(f"busbar.cli.commands.{entry.module}")
    holder = typer.Typer(add_completion=False)
    holder.callback()(lambda: None)
    epilog = "\n\n".join(f"Example: [bold]{example}[/]" for example in module.EXAMPLES)
    if hasattr(module, "app"):
        holder.add_typer(module.app, name=name, epilog=epilog)
    else:
        holder.command(name=name, epilog=epilog)(module.command)
    group = typer.main.get_command(holder)
    command = group.commands[name] if isinstance(group, TyperGroup) else group
    for one in (command, *getattr(command, "commands", {}).values()):
        one.help = _unwrap(one.help or "")
    return command


def _unwrap(text: str) -> str:
    """Return ``text`` with one line for each paragraph: the terminal wraps it."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


class Root(TyperGroup):
    """The command ``busbar``."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in COMMANDS.items():
            self.add_command(TyperCommand(name, help=entry.help, rich_help_panel=entry.panel), name)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; global options may stand anywhere. An empty one is refused."""
        try:
            name = next((one for one in args if one in COMMANDS), "")
            refuse_empty(args, command=f"busbar {name}".strip())
            return super().parse_args(ctx, hoist_global_options(args))
        except Exception as error:
            code = handle(error, debug=False)
            if code is None:
                raise
            raise typer.Exit(code) from error

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Load the command that was named; refuse settings that do not exist.

        Help is shown in spite of them, and `busbar doctor` lists them itself.
        """
        name, known, rest = super().resolve_command(ctx, args)
        needs_them = name not in _WITHOUT_SETTINGS and not _HELP.intersection(rest)
        if not ctx.resilient_parsing and needs_them:
            from busbar.runtime.core.settings import check_variables  # noqa: PLC0415 - loads pydantic

            check_variables()
        return name, known if name is None else load(name), rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; print errors as sentences and turn them into exit codes."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            code = handle(error, debug=options_of(ctx).debug)
            if code is None:
                raise
            raise typer.Exit(code) from error
