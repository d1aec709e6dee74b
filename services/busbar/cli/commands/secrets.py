"""``busbar secrets``."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from pydantic import SecretStr

from busbar.cli.shared.exits import CommandError, ExitCode
from busbar.cli.shared.options import options_of
from busbar.cli.shared.output import (
    Output,
    OutputOption,
    errors,
    plain,
    print_fields,
    print_json,
    print_table,
)
from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.cipher import read_cipher
from busbar.runtime.secrets import Secret, SecretEntry, SecretStore, reference_to, secrets_of
from busbar.runtime.store import StoreUnavailable

EXAMPLES = (
    "busbar secrets put postgres-cluster < url.txt",
    "busbar secrets put hooks --team payments --from-file hooks.txt",
    "busbar secrets list",
)

Result = TypeVar("Result")

app = typer.Typer(
    help=(
        "Store, list, show and remove secrets, by name.\n\n"
        "Everything else knows them as secret:<name> only. They are sealed with the data key "
        "(BUSBAR_DATA_KEY, or <home>/data.key) and kept in <home>/secrets.db, or in PostgreSQL if "
        "BUSBAR_DATABASE_URL is set: run this where both are. Values never come from arguments, "
        "which others can see and shells remember."
    ),
    no_args_is_help=True,
    add_completion=False,
)

Name = Annotated[
    str, typer.Argument(help="The secret's name, with or without secret:.", metavar="NAME")
]


@app.command(
    epilog="Example: [bold]busbar secrets put postgres-cluster < url.txt[/]\n\n"
    "Example: [bold]busbar secrets put hooks --team payments --from-file hooks.txt[/]"
)
def put(
    context: typer.Context,
    name: Name,
    team: Annotated[
        str | None,
        typer.Option(help="The team that owns it; without one it is the platform's own."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--from-file", help="Where the value is; by default standard input."),
    ] = None,
) -> None:
    """Store a secret, or replace it. The value comes from standard input or a file.

    Only subscriptions of the team that owns a secret can be signed with it.
    The last line's end is not part of the value. What uses the secret sees
    the new value at its next use.
    """
    reference = reference_to(name)
    value = _read_value(file)
    _with_store(context, lambda store: store.put(reference, value, team=team))
    owner = "the platform" if team is None else f"the team {team}"
    typer.echo(f"stored  {reference}  for {owner}")


@app.command("list", epilog="Example: [bold]busbar secrets list -o json[/]")
def list_secrets(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List secrets: names, owners and times, no values."""

    async def body(store: SecretStore) -> tuple[list[SecretEntry], str]:
        return await store.entries(), store.key_id

    found, key_id = _with_store(context, body)
    if output is Output.JSON:
        print_json([_fields(entry, key_id) for entry in found])
        return
    if not found:
        typer.echo("There are no secrets.")
        return
    rows = [[plain(value or "") for value in _fields(entry, key_id).values()] for entry in found]
    print_table(("secret", "team", "stored", "data key", "opens"), rows)


@app.command(epilog="Example: [bold]busbar secrets show database-payments--dev--orders --reveal[/]")
def show(
    context: typer.Context,
    name: Name,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Print the value, and nothing else, to stdout.")
    ] = False,
) -> None:
    """Show whose a secret is and when it was stored; with --reveal its value.

    The value appears on the screen and in whatever records it: better hand it
    to a program, by a pipe.
    """
    reference = reference_to(name)
    found = _with_store(context, lambda store: _find(store, reference))
    if not reveal:
        print_fields(_fields(found, found.key_id))
        typer.echo("The value is not shown; --reveal prints it.", err=True)
        return
    errors().print(f"[yellow]warning:[/] this is the value of {plain(reference)}: keep it to you")
    typer.echo(found.value.get_secret_value())


@app.command(epilog="Example: [bold]busbar secrets remove hooks[/]")
def remove(context: typer.Context, name: Name) -> None:
    """Remove a secret. Deliveries that are signed with it wait until it is stored again."""
    reference = reference_to(name)
    if not _with_store(context, lambda store: store.remove(reference)):
        raise _not_found(reference)
    typer.echo(f"removed  {reference}")


@app.command(epilog="Example: [bold]busbar secrets rekey --old-key old.key[/]")
def rekey(
    context: typer.Context,
    old_key: Annotated[
        Path, typer.Option("--old-key", help="The file with the data key until now.")
    ],
) -> None:
    """Seal every secret with the present data key in place of an old one, all or none.

    Stop the services, keep the old key in a file, and put a new one into
    <home>/data.key or BUSBAR_DATA_KEY: head -c 32 /dev/urandom | base64.
    Run this, and start the services. Dead letters stay sealed with the old
    key: redrive those that matter first.
    """
    old = read_cipher(SecretStr(_read_text(old_key)))
    count = _with_store(context, lambda store: store.rekey(old))
    typer.echo(f"sealed anew  {count} secret(s)")


def _with_store(context: typer.Context, body: Callable[[SecretStore], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        async with secrets_of(options_of(context).settings()) as store:
            return await body(store)

    try:
        return asyncio.run(run())
    except StoreUnavailable as error:
        raise CommandError(
            f"The secrets cannot be reached: {error}.",
            fix="Check that the database in BUSBAR_DATABASE_URL, or the disk, is there.",
            code=ExitCode.UNREACHABLE,
        ) from error


async def _find(store: SecretStore, reference: str) -> Secret:
    found = await store.find(reference)
    if found is None:
        raise _not_found(reference)
    return found


def _not_found(reference: str) -> CommandError:
    return CommandError(
        f"There is no {reference} here.",
        fix="`busbar secrets list` shows what there is.",
        code=ExitCode.NOT_FOUND,
    )


def _fields(entry: SecretEntry, key_id: str) -> dict[str, str | None]:
    return {
        "secret": entry.reference,
        "team": entry.team,
        "stored": entry.stored_time,
        "data_key": entry.key_id,
        "opens": "yes" if entry.key_id == key_id else "no: sealed with another data key",
    }


def _read_value(file: Path | None) -> SecretStr:
    if file is not None:
        text = _read_text(file)
    elif sys.stdin.isatty():
        text = typer.prompt("value", hide_input=True)
    else:
        text = _decode(sys.stdin.buffer.read(), "standard input")
    return SecretStr(text.removesuffix("\n").removesuffix("\r"))


def _read_text(file: Path) -> str:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"The file {file} cannot be read: {error.strerror}.", fix="Name another file."
        ) from error
    return _decode(content, f"The file {file}")


def _decode(content: bytes, place: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        problem = f"{place[:1].upper()}{place[1:]} holds no text in UTF-8."
    # Raised outside the handler: the cause would quote the value.
    raise ConfigurationError(problem, fix="What is binary can be stored as base64.")
