"""The database that all services share, and bringing its schemas up."""

import asyncio
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from busbar.kernel.errors import ConfigurationError
from busbar.messages.topics import SERVICES
from busbar.runtime.core.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """``url`` is what services use; ``owner_url`` is for whoever migrates, if it is known here."""

    url: SecretStr
    owner_url: SecretStr | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """What ``settings`` name; None if services keep a file each."""
        if settings.database_url is None:
            return None
        return cls(url=settings.database_url, owner_url=settings.database_owner_url)

    def migrate(self, *, phase: str = "pre") -> dict[str, str | None]:
        """Bring the schemas of services and of secrets up; tells how far each has come.

        Raises:
            ConfigurationError: one of the two roles is not known.
            StoreAwayError: the database does not answer.
        """
        from busbar.runtime.secrets.migrate import migrate_secrets  # noqa: PLC0415 - loads Alembic
        from busbar.runtime.store.engines.migrate import migrate  # noqa: PLC0415 - loads Alembic

        if self.owner_url is None:
            raise ConfigurationError(
                "Migrating takes two roles: one that owns the tables, one that services run as.",
                fix="Set BUSBAR_DATABASE_OWNER_URL and BUSBAR_DATABASE_URL.",
            )
        role = unquote(urlsplit(self.url.get_secret_value()).username or "")
        if not role:
            raise ConfigurationError(
                "BUSBAR_DATABASE_URL names no role.",
                fix="Write postgresql://role:password@host/db.",
            )
        owner = self.owner_url.get_secret_value()

        async def migrate_all() -> dict[str, str | None]:
            revisions = await migrate(owner, services=SERVICES, role=role, phase=phase)
            return revisions | await migrate_secrets(owner, role=role, phase=phase)

        return asyncio.run(migrate_all())
