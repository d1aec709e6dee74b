"""``busbar migrate``."""

from enum import StrEnum
from typing import Annotated

import typer

from busbar.cli.shared.options import options_of
from busbar.kernel.errors import ConfigurationError

EXAMPLES = ("busbar migrate", "busbar migrate --phase post")


class Phase(StrEnum):
    """When a migration runs; part of its name."""

    PRE = "pre"
    POST = "post"


def command(
    context: typer.Context,
    phase: Annotated[
        Phase, typer.Option(help="pre: before a release is rolled out; post: after it.")
    ] = Phase.PRE,
) -> None:
    """Create or update the tables in PostgreSQL: a schema for each service and one for secrets.

    It connects as the role in BUSBAR_DATABASE_OWNER_URL and grants the role in BUSBAR_DATABASE_URL
    access to the tables. Running it again is safe. Run phase `pre` before a release is rolled out
    and phase `post` when no process of the previous release is left.
    """
    from busbar.cli.local.database import Database  # noqa: PLC0415 - loads pydantic

    database = Database.of(options_of(context).settings())
    if database is None or database.owner_url is None:
        raise ConfigurationError(
            "Migrating needs two roles: one that owns the tables, and one for the services.",
            fix="Set BUSBAR_DATABASE_OWNER_URL and BUSBAR_DATABASE_URL.",
        )
    for service, revision in database.migrate(phase=phase.value).items():
        typer.echo(f"{service}: {revision}")
