"""``busbar secrets``."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer
from pydantic import SecretStr

from busbar.cli.shared.exits import CommandError, ExitCode
from busbar.cli.shared.files import at_terminal, standard_input
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
from busbar.runtime.secrets import (
    Secret,
    SecretEntry,
    SecretKind,
    SecretStore,
    reference_to,
    secrets_of,
)
from busbar.runtime.secrets.names import MAX_VALUE_BYTES
from busbar.runtime.store import StoreUnavailable

EXAMPLES = (
    "busbar secrets put postgres-cluster < url.txt",
    "busbar secrets put hooks --team payments --from-file hooks.txt",
    "busbar secrets list",
)

Result = TypeVar("Result")

_READ_BYTES: Final = MAX_VALUE_BYTES + len("\r\n") + 1
"""Of a file or of standard input; as many are more than the longest value."""

app = typer.Typer(
    help=(
        "Store, list, show and remove secrets.\n\n"
        "Promises and subscriptions refer to them as secret:<name>. They are encrypted with the "
        "data key (BUSBAR_DATA_KEY, or <home>/data.key) and kept in <home>/secrets.db, or in "
        "PostgreSQL if BUSBAR_DATABASE_URL is set: run these commands where key and store are. "
        "Values are never given as arguments, which other users can see and shells record."
    ),
    no_args_is_help=True,
    add_completion=False,
)

Name = Annotated[
    str,
    typer.Argument(help="The secret's name, with or without the prefix secret:", metavar="NAME"),
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
        typer.Option(help="The team that owns it; without one, the platform owns it."),
    ] = None,
    kind: Annotated[
        SecretKind | None,
        typer.Option(
            "--for",
            help="Its use. A value that cannot be used so is refused.",
            show_default="as before; else by name and value; else webhook if --team, or text",
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--from-file", help="File with the value.", show_default="standard input"),
    ] = None,
) -> None:
    """Store a secret, or replace it. The value comes from standard input or a file.

    Only subscriptions of the team that owns a secret can be signed with it. A newline at the end is
    not part of the value. A new value takes effect at the next use.

    The value is checked against its use: webhook (whsec_ and base64, one a line), postgres-url (the
    URL of one PostgreSQL server, with special characters percent-encoded), key (32 bytes of
    base64), text (anything).
    """
    reference = reference_to(name)
    value = _read_value(file)
    otherwise = SecretKind.TEXT if team is None else SecretKind.WEBHOOK

    async def body(store: SecretStore) -> SecretKind:
        return await store.put(reference, value, team=team, kind=kind, otherwise=otherwise)

    used_as = _with_store(context, body)
    owner = "the platform" if team is None else f"the team {team}"
    typer.echo(f"stored  {reference}  for {owner}, as {used_as.value}")


@app.command("list", epilog="Example: [bold]busbar secrets list -o json[/]")
def list_secrets(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List secrets: names, owners and times, but no values."""

    async def body(store: SecretStore) -> tuple[list[SecretEntry], str]:
        return await store.entries(), store.key_id

    found, key_id = _with_store(context, body)
    if output is Output.JSON:
        print_json([_fields(entry, key_id) for entry in found])
        return
    if not found:
        typer.echo("No secrets found.")
        return
    rows = [[plain(value or "") for value in _fields(entry, key_id).values()] for entry in found]
    print_table(("secret", "team", "for", "stored", "data key", "readable"), rows)


@app.command(epilog="Example: [bold]busbar secrets show database-payments--dev--orders --reveal[/]")
def show(
    context: typer.Context,
    name: Name,
    reveal: Annotated[
        bool,
        typer.Option("--reveal", help="Print the value, and nothing else, to standard output."),
    ] = False,
) -> None:
    """Show the owner and age of a secret; with --reveal print its value.

    A revealed value stays on the screen and in its scrollback: prefer to pipe it into a program.
    """
    reference = reference_to(name)
    found = _with_store(context, lambda store: _find(store, reference))
    if not reveal:
        print_fields(_fields(found, found.key_id))
        typer.echo("The value is not shown; --reveal prints it.", err=True)
        return
    errors().print(
        f"[yellow]warning:[/] this is the value of {plain(reference)}: keep it to yourself"
    )
    typer.echo(found.value.get_secret_value())


@app.command(epilog="Example: [bold]busbar secrets remove hooks[/]")
def remove(context: typer.Context, name: Name) -> None:
    """Remove a secret. Deliveries signed with it wait until it is stored again."""
    reference = reference_to(name)
    if not _with_store(context, lambda store: store.remove(reference)):
        raise _not_found(reference)
    typer.echo(f"removed  {reference}")


@app.command(epilog="Example: [bold]busbar secrets rekey --old-key old.key[/]")
def rekey(
    context: typer.Context,
    old_key: Annotated[Path, typer.Option("--old-key", help="File with the previous data key.")],
) -> None:
    """Re-encrypt every secret with the current data key; all of them or none.

    1. Stop the services. 2. Keep the old key in a file, and put a new one into <home>/data.key or
    BUSBAR_DATA_KEY; head -c 32 /dev/urandom | base64 makes one. 3. Run this command. 4. Start the
    services.

    Dead letters stay encrypted with the old key: redrive the ones that matter first.
    """
    old = read_cipher(SecretStr(_read_text(old_key)))
    count = _with_store(context, lambda store: store.rekey(old))
    typer.echo(f"re-encrypted {count} {'secret' if count == 1 else 'secrets'}")


def _with_store(context: typer.Context, body: Callable[[SecretStore], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        async with secrets_of(options_of(context).settings()) as store:
            return await body(store)

    try:
        return asyncio.run(run())
    except StoreUnavailable as error:
        raise CommandError(
            f"The secrets cannot be reached: {error}.",
            fix="Check that the database in BUSBAR_DATABASE_URL, or the disk, can be reached.",
            code=ExitCode.UNREACHABLE,
        ) from error


async def _find(store: SecretStore, reference: str) -> Secret:
    found = await store.find(reference)
    if found is None:
        raise _not_found(reference)
    return found


def _not_found(reference: str) -> CommandError:
    return CommandError(
        f"The secret {reference} does not exist.",
        fix="List the secrets with `busbar secrets list`.",
        code=ExitCode.NOT_FOUND,
    )


def _fields(entry: SecretEntry, key_id: str) -> dict[str, str | None]:
    return {
        "secret": entry.reference,
        "team": entry.team,
        "for": entry.kind.value,
        "stored": entry.stored_time,
        "data_key": entry.key_id,
        "readable": "yes" if entry.key_id == key_id else "no: encrypted with another data key",
    }


def _read_value(file: Path | None) -> SecretStr:
    if file is not None:
        text = _read_text(file)
    elif at_terminal():
        text = typer.prompt("value", hide_input=True)
    else:
        text = _decode(standard_input().read(_READ_BYTES), "standard input")
    return SecretStr(text.removesuffix("\n").removesuffix("\r"))


def _read_text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(_READ_BYTES)
    except OSError as error:
        raise ConfigurationError(
            f"The file {file} cannot be read: {error.strerror}.", fix="Name another file."
        ) from error
    return _decode(content, f"The file {file}")


def _decode(content: bytes, place: str) -> str:
    subject = place[:1].upper() + place[1:]
    if len(content) == _READ_BYTES:
        raise ConfigurationError(
            f"{subject} is longer than 64 KiB.", fix="Store a shorter value, or where to find it."
        )
    try:
        return content.decode()
    except UnicodeDecodeError:
        problem = f"{subject} is not text in UTF-8."
    # Raised outside the handler: the cause would quote the value.
    raise ConfigurationError(problem, fix="Store binary values as base64.")
