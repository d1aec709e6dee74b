"""``busbar subscribe``."""

import base64
import secrets
from typing import Annotated

import typer
from pydantic import SecretStr

from busbar.cli.connect import call
from busbar.cli.exits import ExitCode
from busbar.cli.options import options_of
from busbar.cli.outcome import follow_all
from busbar.cli.output import Output, OutputOption
from busbar.kernel.canonical import digest
from busbar.messages.notification import ApplySubscription
from busbar.runtime.secrets import SecretFolder
from busbar.sdk import Client
from busbar.sdk.events import intent_of

EXAMPLES = (
    (
        "busbar subscribe https://payments.example/hooks --team payments --name orders-done"
        " --type busbar.resource.provisioned.v1"
    ),
)

_SECRET_BYTES = 32
_LONGEST_NAME = 63


def command(
    context: typer.Context,
    *,
    url: Annotated[str, typer.Argument(help="Where facts are posted to.", metavar="URL")],
    team: Annotated[str, typer.Option(help="Facts about this team's resources.")],
    name: Annotated[str, typer.Option(help="The subscription's name within the team.")],
    types: Annotated[
        list[str], typer.Option("--type", help="A type; * stands for anything. Repeatable.")
    ],
    secret: Annotated[
        str | None, typer.Option(help="A stored secret (secret:<name>), not one of its own.")
    ] = None,
    new_secret: Annotated[
        bool, typer.Option("--new-secret", help="Replace the secret that is there.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait at the most.")] = 60,
    output: OutputOption = Output.TABLE,
) -> None:
    """Have facts about a team delivered to a URL, signed.

    The signing secret (Standard Webhooks, whsec_…) is made here, kept in <home>/secrets and shown
    once, on standard error. Subscribing again under the same name changes the subscription and
    keeps its secret.
    """
    options = options_of(context)
    reference = secret or _reference(team, name)
    # Everything is checked before a secret is made for it.
    intent = intent_of(
        ApplySubscription,
        {"team": team, "name": name, "url": url, "types": types, "secret": reference},
    )
    folder = SecretFolder(options.settings().private_home() / "secrets")
    if secret is None and (new_secret or folder.get(reference) is None):
        value = "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
        folder.put(reference, SecretStr(value))
        typer.echo(f"secret  {value}  (shown once; kept as {reference})", err=True)

    async def body(client: Client) -> ExitCode:
        accepted = await client.send(intent)
        return await follow_all(client, [accepted], within=timeout, output=output)

    raise typer.Exit(call(options, body))


def _reference(team: str, name: str) -> str:
    own = f"{team}-{name}"
    # "a-b" + "c" and "a" + "b-c" would share a name, and two long ones would not fit.
    mark = digest([team, name]).removeprefix("sha256:")[:8]
    return f"secret:{own[: _LONGEST_NAME - len(mark) - 1]}-{mark}"
