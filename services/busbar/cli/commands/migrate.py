"""``busbar migrate``."""

import asyncio
from enum import StrEnum
from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer

from busbar.cli.options import options_of
from busbar.kernel.errors import ConfigurationError
from busbar.messages.topics import SERVICES

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
    from busbar.runtime.secrets.migrate import migrate_secrets  # noqa: PLC0415 - loads Alembic
    from busbar.runtime.store.migrate import migrate  # noqa: PLC0415 - loads Alembic

    settings = options_of(context).settings()
    if settings.database_owner_url is None or settings.database_url is None:
        raise ConfigurationError(
            "Migrating takes two roles: one that owns the tables, one that services run as.",
            fix="Set BUSBAR_DATABASE_OWNER_URL and BUSBAR_DATABASE_URL.",
        )
    role = unquote(urlsplit(settings.database_url.get_secret_value()).username or "")
    if not role:
        raise ConfigurationError(
            "BUSBAR_DATABASE_URL names no role.", fix="Write postgresql://role:password@host/db."
        )
    owner = settings.database_owner_url.get_secret_value()

    async def everything() -> dict[str, str | None]:
        reached = await migrate(owner, services=SERVICES, role=role, phase=phase.value)
        return reached | await migrate_secrets(owner, role=role, phase=phase.value)

    reached = asyncio.run(everything())
    for service, revision in reached.items():
        typer.echo(f"{service}: {revision}")
