"""``busbar subscribe``."""

import asyncio
import base64
import secrets as randomness
from typing import Annotated

import typer
from pydantic import SecretStr

from busbar.cli.shared.connect import call
from busbar.cli.shared.exits import ExitCode
from busbar.cli.shared.options import TimeoutOption, options_of
from busbar.cli.shared.outcome import follow_all
from busbar.cli.shared.output import Output, OutputOption
from busbar.kernel.canonical import digest
from busbar.messages.notification import ApplySubscription
from busbar.runtime.core.settings import Settings
from busbar.runtime.secrets import secrets_of
from busbar.sdk import Client
from busbar.sdk.events import intent_of

EXAMPLES = (
    (
        "busbar subscribe https://payments.example/hooks --team payments --name orders-done"
        " --type busbar.resource.provisioned.v1"
    ),
)

_SECRET_BYTES = 32
_MAX_NAME_CHARS = 63


def command(
    context: typer.Context,
    *,
    url: Annotated[str, typer.Argument(help="The URL that facts are posted to.", metavar="URL")],
    team: Annotated[str, typer.Option(help="The team whose resources the facts are about.")],
    name: Annotated[str, typer.Option(help="The subscription's name, unique within the team.")],
    types: Annotated[
        list[str],
        typer.Option("--type", help="A fact type, such as busbar.resource.*; repeatable."),
    ],
    secret: Annotated[
        str | None,
        typer.Option(
            help="A stored secret of the team (secret:<name>).", show_default="a generated one"
        ),
    ] = None,
    new_secret: Annotated[
        bool, typer.Option("--new-secret", help="Generate a new secret, replacing the current one.")
    ] = False,
    timeout: TimeoutOption = 60,
    output: OutputOption = Output.TABLE,
) -> None:
    """Deliver facts about a team to a URL, as signed webhooks.

    The signing secret (Standard Webhooks, whsec_…) is generated here, stored as a secret of the
    team and shown once, on standard error. Run it where the platform's home is. Subscribing again
    under the same name changes the subscription and keeps its secret.
    """
    options = options_of(context)
    reference = secret or _reference(team, name)
    # Everything is checked before a secret is generated for it.
    intent = intent_of(
        ApplySubscription,
        {"team": team, "name": name, "url": url, "types": types, "secret": reference},
    )
    secret_value = None
    if secret is None:
        secret_value = asyncio.run(
            _create_secret(options.settings(), reference, team=team, replace=new_secret)
        )
    if secret_value is not None:
        typer.echo(
            f"secret  {secret_value.get_secret_value()}  (shown once; stored as {reference})",
            err=True,
        )

    async def body(client: Client) -> ExitCode:
        accepted = await client.send(intent)
        return await follow_all(client, [accepted], within=timeout, output=output)

    raise typer.Exit(call(options, body))


async def _create_secret(
    settings: Settings, reference: str, *, team: str, replace: bool
) -> SecretStr | None:
    """Store a new secret of ``team``; return None if there is one and it is not replaced."""
    async with secrets_of(settings) as store:
        if not replace and await store.find(reference) is not None:
            return None
        value = SecretStr(
            "whsec_" + base64.b64encode(randomness.token_bytes(_SECRET_BYTES)).decode()
        )
        await store.put(reference, value, team=team)
    return value


def _reference(team: str, name: str) -> str:
    own = f"{team}-{name}"
    # "a-b" + "c" and "a" + "b-c" would share a name, and two long ones would not fit.
    suffix = digest([team, name]).removeprefix("sha256:")[:8]
    return f"secret:{own[: _MAX_NAME_CHARS - len(suffix) - 1]}-{suffix}"
