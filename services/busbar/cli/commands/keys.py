"""``busbar keys``."""

from pathlib import Path
from typing import Annotated

import typer

from busbar.cli.shared.confirm import YesOption, confirm
from busbar.cli.shared.connect import call
from busbar.cli.shared.options import TimeoutOption, WaitOption, options_of
from busbar.cli.shared.output import Output, OutputOption, coloured, plain, print_json, print_table
from busbar.cli.shared.request import request
from busbar.messages.principals import PrincipalView
from busbar.runtime.core.signing_key import ensure_signing_key, key_path
from busbar.sdk import Client

EXAMPLES = (
    "busbar keys create payments-ci",
    "busbar keys list --principal payments-ci",
    "busbar keys revoke 21fe31dfa154a261626bf854046fd227 --reason 'the laptop was lost'",
)

app = typer.Typer(
    help=(
        "Create, list and revoke the Ed25519 keys that principals sign with.\n\n"
        "The private half is a file that only you can read; the public half is announced to every "
        "service and kept, so that the past can be verified."
    ),
    no_args_is_help=True,
    add_completion=False,
)


@app.command(epilog="Example: [bold]busbar keys create payments-ci[/]")
def create(
    context: typer.Context,
    principal: Annotated[str, typer.Argument(help="The principal, as declared.")],
    *,
    file: Annotated[
        Path | None,
        typer.Option(help="File for the private key.", show_default="<home>/keys/<principal>.pem"),
    ] = None,
    wait: WaitOption = True,
    timeout: TimeoutOption = 60,
    output: OutputOption = Output.TABLE,
) -> None:
    """Create a key for a principal and register its public half.

    The principal has to be declared in principals.yaml. A file that is there is kept, and its key
    is registered: name another --file for a new key. Exit codes: 0 registered, 3 denied or
    refused, 5 no result in time.
    """
    path = file or key_path(options_of(context).settings().home, principal)
    kept = "  (it was there, and is kept)" if path.exists() else ""
    public = ensure_signing_key(path).public
    typer.echo(
        f"private key  {path}{kept}\npublic key   {public.text}\nkey id       {public.id}", err=True
    )

    request(
        context,
        lambda client: client.register_key(principal, public.text),
        wait=wait,
        timeout=timeout,
        output=output,
    )


@app.command("list", epilog="Example: [bold]busbar keys list --principal payments-ci[/]")
def list_keys(
    context: typer.Context,
    principal: Annotated[str | None, typer.Option(help="Only the keys of this principal.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the public keys of principals, revoked ones included."""

    async def body(client: Client) -> list[PrincipalView]:
        if principal is not None:
            return [await client.principal(principal)]
        return [one async for one in client.principals()]

    found = call(options_of(context), body)
    if output is Output.JSON:
        keys = [
            {"principal": one.principal, **key.model_dump(mode="json")}
            for one in found
            for key in one.keys
        ]
        print_json(keys)
        return
    rows = [
        (
            plain(one.principal),
            plain(key.key),
            coloured("revoked" if key.revoked else "valid"),
            plain(key.registered),
            plain(key.reason or ""),
        )
        for one in found
        for key in one.keys
    ]
    print_table(("principal", "key", "state", "registered", "reason"), rows)


@app.command(epilog="Example: [bold]busbar keys revoke 21fe31dfa154a261626bf854046fd227[/]")
def revoke(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="The id of the key, as listed.")],
    reason: Annotated[str, typer.Option(help="Why; it is shown to everyone who uses the key.")],
    *,
    yes: YesOption = False,
    wait: WaitOption = True,
    timeout: TimeoutOption = 60,
    output: OutputOption = Output.TABLE,
) -> None:
    """Refuse what is signed with a key, from now on and for good.

    What was decided before stays. Exit codes: 0 revoked, 3 denied or refused, 5 no result in time.
    """
    confirm(f"Revoke the key {key}? It can never be used again.", yes=yes)

    request(
        context,
        lambda client: client.revoke_key(key, reason=reason),
        wait=wait,
        timeout=timeout,
        output=output,
    )
