"""The PostgreSQL database that all services share, and its migrations."""

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
    """``url`` is for the services; ``owner_url``, if known, for migrations."""

    url: SecretStr
    owner_url: SecretStr | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Return the database in ``settings``; None if each service keeps a SQLite file."""
        if settings.database_url is None:
            return None
        return cls(url=settings.database_url, owner_url=settings.database_owner_url)

    def migrate(self, *, phase: str = "pre") -> dict[str, str | None]:
        """Migrate the schemas of all services and of secrets; return the revision of each.

        Raises:
            ConfigurationError: one of the two roles is not set.
            StoreUnavailable: the database does not answer.
        """
        from busbar.runtime.secrets.migrate import migrate_secrets  # noqa: PLC0415 - loads Alembic
        from busbar.runtime.store.engines.migrate import migrate  # noqa: PLC0415 - loads Alembic

        if self.owner_url is None:
            raise ConfigurationError(
                "Migrating needs two roles: one that owns the tables, and one for the services.",
                fix="Set BUSBAR_DATABASE_OWNER_URL and BUSBAR_DATABASE_URL.",
            )
        role = _role_in(self.url)
        if not role:
            raise ConfigurationError(
                "BUSBAR_DATABASE_URL has no role.",
                fix="Write it as postgresql://role:password@host/database.",
            )
        owner = self.owner_url.get_secret_value()

        async def migrate_all() -> dict[str, str | None]:
            revisions = await migrate(owner, services=SERVICES, role=role, phase=phase)
            return revisions | await migrate_secrets(owner, role=role, phase=phase)

        return asyncio.run(migrate_all())


def _role_in(url: SecretStr) -> str:
    try:
        return unquote(urlsplit(url.get_secret_value()).username or "")
    except ValueError:  # its message may quote the URL
        return ""
