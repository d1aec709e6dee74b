"""``busbar subscribe``."""

import asyncio
import base64
import secrets as randomness
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer
from pydantic import SecretStr, ValidationError

from busbar.cli.shared.connect import call
from busbar.cli.shared.exits import ExitCode, usage
from busbar.cli.shared.limit import TimeLimit
from busbar.cli.shared.options import TimeoutOption, options_of
from busbar.cli.shared.outcome import follow_all
from busbar.cli.shared.output import Output, OutputOption
from busbar.kernel.canonical import digest
from busbar.kernel.webhook_secret import PREFIX
from busbar.messages.notification import ApplySubscription
from busbar.messages.validation import field_errors
from busbar.runtime.core.settings import Settings
from busbar.runtime.secrets import SecretKind, secrets_of
from busbar.sdk import Client

EXAMPLES = (
    (
        "busbar subscribe https://payments.example/hooks --team payments --name orders-done"
        " --type busbar.resource.provisioned.v1"
    ),
)

_SECRET_BYTES = 32
_REFUSED = (ExitCode.DENIED, ExitCode.FAILED)
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
    under the same name changes the subscription and keeps its secret, also after `busbar
    unsubscribe`: the secret stays the same until --new-secret or `busbar secrets put` replaces it,
    or `busbar secrets remove` deletes it. A subscription that is refused, or that cannot be
    requested, leaves the secrets as they were.
    """
    options = options_of(context)
    # Everything is checked before a secret is generated for it.
    intent = _intent(team=team, name=name, url=url, types=types, secret=secret)
    generated = None
    if secret is None:
        generated = asyncio.run(
            _generate(options.settings(), intent.secret, team=team, replace=new_secret)
        )
    accepted = False
    limit = TimeLimit(timeout)

    async def body(client: Client) -> ExitCode:
        nonlocal accepted
        receipt = await client.send(intent)
        accepted = True
        return await follow_all(client, [receipt], limit=limit, output=output)

    refused = False
    try:
        code = call(options, body, limit=limit)
        refused = code in _REFUSED
    finally:
        # Without an outcome the subscription may still be made, and then needs its secret.
        if generated is not None and accepted and not refused:
            _show(generated)
        elif generated is not None:
            asyncio.run(_take_back(options.settings(), generated))
    raise typer.Exit(code)


_OPTIONS: Final = {"url": "URL", "types": "--type"}
"""The names of arguments whose field has another one."""


def _intent(**fields: Any) -> ApplySubscription:
    """Return the intent; without a secret, with the reference of the one to generate.

    Raises:
        CommandError: an argument is not valid; all of them are named as they were written.
    """
    generated = fields["secret"] is None
    try:
        intent = ApplySubscription.model_validate(
            {**fields, "secret": "secret:generated"} if generated else fields
        )
    except ValidationError as error:
        wrong: dict[str, str] = {}  # the first error of each argument: others follow from it
        for one in field_errors(error, ApplySubscription):
            field = str(one.location[0])
            wrong.setdefault(_OPTIONS.get(field, f"--{field}"), one.expected)
        problem = f"{'; '.join(map(' '.join, wrong.items()))}."
        fix = "Correct it; nothing was sent. `busbar subscribe --help` has an example."
        raise usage(problem, fix=fix) from None  # the cause has the values
    if not generated:
        return intent
    return intent.model_copy(update={"secret": _reference(intent.team, intent.name)})


@dataclass(frozen=True, slots=True)
class _Generated:
    """A new secret, and the value that it has replaced."""

    reference: str
    team: str
    value: SecretStr
    before: SecretStr | None


async def _generate(
    settings: Settings, reference: str, *, team: str, replace: bool
) -> _Generated | None:
    """Store a new secret of ``team``; return None if there is one and it is not replaced."""
    async with secrets_of(settings) as store:
        found = await store.find(reference)
        if not replace and found is not None:
            return None
        key = base64.b64encode(randomness.token_bytes(_SECRET_BYTES)).decode()
        value = SecretStr(PREFIX + key)
        await store.put(reference, value, team=team, kind=SecretKind.WEBHOOK)
    return _Generated(reference, team, value, None if found is None else found.value)


async def _take_back(settings: Settings, generated: _Generated) -> None:
    """Restore what was stored before, unless someone has stored another secret since."""
    async with secrets_of(settings) as store:
        if await store.get(generated.reference) != generated.value:
            return
        if generated.before is None:
            await store.remove(generated.reference)
            return
        await store.put(
            generated.reference, generated.before, team=generated.team, kind=SecretKind.WEBHOOK
        )


def _show(generated: _Generated) -> None:
    typer.echo(
        f"secret  {generated.value.get_secret_value()}  (shown once; stored as "
        f"{generated.reference})",
        err=True,
    )


def _reference(team: str, name: str) -> str:
    own = f"{team}-{name}"
    # "a-b" + "c" and "a" + "b-c" would share a name, and two long ones would not fit.
    suffix = digest([team, name]).removeprefix("sha256:")[:8]
    return f"secret:{own[: _MAX_NAME_CHARS - len(suffix) - 1]}-{suffix}"
