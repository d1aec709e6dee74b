"""The store's own cluster in tests: a schema as a release makes it, a role that may do little."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from busbar.kernel.clock import Clock
from busbar.runtime.secrets.migrate import migrate_secrets
from busbar.runtime.store import Store
from busbar.runtime.store.engines.migrate import GRANTS, migrate
from busbar.runtime.store.engines.postgres import open_postgres
from busbar.runtime.store.engines.postgres_checks import schema_of
from support.postgres import PostgresServer

OWNER = "busbar_owner"
SERVICE = "busbar_services"
DATABASE = "busbar"
PASSWORD = "for-this-test-only"  # noqa: S105 - of a cluster that lives as long as the test


class StoreCluster:
    """A cluster with the database that services share."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server

    @property
    def owner_url(self) -> str:
        return self.server.url(DATABASE, user=OWNER, password=PASSWORD)

    @property
    def url(self) -> str:
        return self.server.url(DATABASE, user=SERVICE, password=PASSWORD)

    async def prepare(self) -> None:
        """Make the roles, the database and a schema in it."""
        await self.make_roles()
        await self.migrate()

    async def make_roles(self) -> None:
        """Make the roles and the database."""
        async with self.session(self.server.url()) as admin:
            for role in (OWNER, SERVICE):
                await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
            await admin.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")

        await self.migrate_secrets()

    async def migrate_secrets(self) -> dict[str, str | None]:
        return await migrate_secrets(self.owner_url, role=SERVICE)

    async def migrate(self, *services: str, phase: str = "pre") -> dict[str, str | None]:
        return await migrate(
            self.owner_url, services=services or ("policy",), role=SERVICE, phase=phase
        )

    async def clear(self) -> None:
        """Have no rows."""
        schema = schema_of("policy")
        names = [f"{schema}.{table}" for table in GRANTS if table != "schema_version"]
        async with self.session(self.owner_url) as owner:
            await owner.execute(f"TRUNCATE {', '.join(names)} RESTART IDENTITY")

    async def open(self, clock: Clock, *, own_clock: bool = True, pool_size: int = 10) -> Store:
        return await open_postgres(
            self.url, service="policy", clock=clock, own_clock=own_clock, pool_size=pool_size
        )

    @asynccontextmanager
    async def session(
        self, url: str | None = None, *, service: str = "policy", application_name: str = ""
    ) -> AsyncIterator[Any]:
        """Open a new connection, by default as a service."""
        settings = {"search_path": schema_of(service), "application_name": application_name}
        connection = await asyncpg.connect(url or self.url, server_settings=settings)
        try:
            yield connection
        except BaseException:
            connection.terminate()  # a stopped session would not answer a polite close
            raise
        await connection.close()
