"""The harness of the PostgreSQL databases adapter, and helpers for its tests."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from busbar.backends.port import Backend
from busbar.backends.postgres import PostgresDatabaseBackend
from busbar.backends.postgres import inputs as inputs_module
from busbar.backends.postgres.session import Session
from busbar.testing import MemorySecrets, make_environment
from busbar.testing.contract import BackendHarness, Inputs
from support.postgres import HOST, PostgresServer, free_port

NUMBERS = count()
CLUSTER = "secret:postgres-cluster"
OPERATOR = "operator"
OPERATOR_PASSWORD = secrets.token_urlsafe(24)
LAST = ("ALTER ROLE", "DROP ROLE")
"""The last statements of creating, changing and removing."""


def adapter(held: MemorySecrets) -> PostgresDatabaseBackend:
    return PostgresDatabaseBackend(make_environment(held))


class PostgresHarness(BackendHarness):
    """The adapter with an administrator who has only CREATEDB and CREATEROLE."""

    backend: PostgresDatabaseBackend

    def __init__(self, server: PostgresServer, patch: pytest.MonkeyPatch) -> None:
        self.server = server
        url = server.url(user=OPERATOR, password=OPERATOR_PASSWORD)
        self.secrets = MemorySecrets({CLUSTER: SecretStr(url)})
        self.backend = adapter(self.secrets)
        self._names: list[str] = []
        allowed = inputs_module.EXTENSIONS | {"there_is_none"}
        patch.setattr(inputs_module, "EXTENSIONS", allowed)

    async def begin(self) -> None:
        """Create the administrator that the adapter uses."""
        exists = "SELECT 1 FROM pg_roles WHERE rolname = $1"
        if not await self.query(exists, OPERATOR):
            await self.run(
                f"CREATE ROLE {OPERATOR} LOGIN CREATEDB CREATEROLE PASSWORD '{OPERATOR_PASSWORD}'"
            )

    def inputs(self) -> Inputs:
        self._names.append(f"orders_{next(NUMBERS)}")
        return {"name": self._names[-1], "connection_limit": 5, "extensions": []}

    def changed_inputs(self, inputs: Inputs) -> tuple[Inputs, set[str]]:
        return {**inputs, "connection_limit": 9}, {"connection_limit"}

    def refused_inputs(self) -> Inputs:
        return {**self.inputs(), "extensions": ["there_is_none"]}

    def invalid_inputs(self) -> Inputs:
        return {**self.inputs(), "name": "template1"}

    async def create_foreign(self, inputs: Inputs) -> None:
        await self.run(f"CREATE DATABASE {inputs['name']}")

    async def inspect(self, inputs: Inputs) -> dict[str, Any] | None:
        """Return database, role and secret, as the superuser sees them; None if all are absent."""
        name = inputs["name"]
        databases = await self.query(
            "SELECT d.oid, d.datname, r.rolname AS owner, d.datacl::text, d.datconnlimit,"
            " shobj_description(d.oid, 'pg_database') AS said"
            " FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE datname = $1",
            name,
        )
        role = inputs.get("owner", name)
        roles = await self.query(
            "SELECT a.*, shobj_description(a.oid, 'pg_authid') AS said FROM pg_authid a"
            " WHERE rolname = $1",
            role,
        )
        secret = self.secrets.get(self.reference(inputs))
        if not databases and not roles and secret is None:
            return None
        return {"database": databases, "role": roles, "secret": secret}

    @contextmanager
    def lose_answers(self) -> Iterator[None]:
        execute = asyncpg.Connection.execute

        async def lose(connection: Any, query: str, *rest: Any, **options: Any) -> str:
            answer = await execute(connection, query, *rest, **options)
            if query.startswith(LAST):
                raise asyncpg.ConnectionDoesNotExistError("connection was closed")
            return answer

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asyncpg.Connection, "execute", lose)
            yield

    def unreachable_backend(self) -> Backend:
        url = f"postgresql://someone:else@{HOST}:{free_port()}/postgres"
        return adapter(MemorySecrets({CLUSTER: SecretStr(url)}))

    def reference(self, inputs: Inputs) -> str:
        """Return the reference of the credentials."""
        return inputs_module.read_target(inputs).reference

    def credentials(self, inputs: Inputs) -> str:
        """Return the stored URL."""
        return self.secrets[self.reference(inputs)].get_secret_value()

    async def run(self, *statements: str, database: str = "postgres") -> None:
        """Run statements as the superuser, without the adapter."""
        connection = await asyncpg.connect(self.server.url(database))
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def query(self, query: str, *values: Any, database: str = "postgres") -> list[Any]:
        connection = await asyncpg.connect(self.server.url(database))
        try:
            return [tuple(row) for row in await connection.fetch(query, *values)]
        finally:
            await connection.close()

    async def end(self) -> None:
        """Drop everything that the test left."""
        await self.backend.close()
        await self.run(
            *(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)" for name in self._names),
            *(f"DROP ROLE IF EXISTS {name}" for name in self._names),
        )


def record_changes(patch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that records every changing statement from now on."""
    sent: list[str] = []
    execute = asyncpg.Connection.execute

    async def recording(connection: Any, query: str, *rest: Any, **options: Any) -> str:
        sent.append(query)
        return await execute(connection, query, *rest, **options)

    patch.setattr(asyncpg.Connection, "execute", recording)
    return sent


class Crash(BaseException):
    """The process ends here."""


def crash_at(patch: pytest.MonkeyPatch, number: int, *, after: bool) -> None:
    """Let the process end before, or after, it carries out its change ``number`` (from 0)."""
    change, numbers = Session.execute, count()

    async def crashing(session: Session, *changes: Any, **options: Any) -> None:
        here = next(numbers) == number
        if here and not after:
            raise Crash
        await change(session, *changes, **options)
        if here:
            raise Crash

    patch.setattr(Session, "execute", crashing)
