"""``busbar principals``."""

import typer

from busbar.cli.shared.connect import call
from busbar.cli.shared.options import options_of
from busbar.cli.shared.output import Output, OutputOption, plain, print_json, print_table
from busbar.messages.principals import PrincipalView
from busbar.sdk import Client

EXAMPLES = ("busbar principals", "busbar principals -o json")


def command(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List the people, service accounts, bots and services that the running platform knows.

    They are declared in principals.yaml in the home (BUSBAR_PRINCIPALS), which is read when the
    platform starts. The permissions are those besides what every member of a team may.
    """

    async def body(client: Client) -> list[PrincipalView]:
        return [one async for one in client.principals() if one.declared]

    found = call(options_of(context), body)
    if output is Output.JSON:
        print_json(found)
        return
    rows = [
        (
            plain(one.principal),
            plain(one.kind),
            plain(", ".join(one.teams)),
            plain(", ".join(one.sources)),
            plain(", ".join(one.permissions)),
            str(sum(key.revoked is None for key in one.keys)),
        )
        for one in found
    ]
    print_table(("principal", "kind", "teams", "sources", "permissions", "keys"), rows)
