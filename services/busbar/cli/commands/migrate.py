"""``busbar migrate``."""

from enum import StrEnum
from typing import Annotated

import typer

from busbar.cli.shared.options import options_of
from busbar.kernel.errors import ConfigurationError

EXAMPLES = ("busbar migrate", "busbar migrate --phase post")


class Phase(StrEnum):
    """When the steps run, as their names say."""

    PRE = "pre"
    POST = "post"


def command(
    context: typer.Context,
    phase: Annotated[
        Phase, typer.Option(help="Before a release is rolled out, or after it.")
    ] = Phase.PRE,
) -> None:
    """Make or change the tables in PostgreSQL, a schema for each service and one for secrets.

    It acts as the role in BUSBAR_DATABASE_OWNER_URL, and lets the role in BUSBAR_DATABASE_URL use
    the tables. It may be run again at any time.
    """
    from busbar.cli.local.database import Database  # noqa: PLC0415 - loads pydantic

    database = Database.of(options_of(context).settings())
    if database is None or database.owner_url is None:
        raise ConfigurationError(
            "Migrating takes two roles: one that owns the tables, one that services run as.",
            fix="Set BUSBAR_DATABASE_OWNER_URL and BUSBAR_DATABASE_URL.",
        )
    for service, revision in database.migrate(phase=phase.value).items():
        typer.echo(f"{service}: {revision}")
