"""The scripts that create roles and databases in containers, run against real clusters."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from busbar.backends.postgres.isolation import store_server_at
from busbar.cli.local import Database
from busbar.messages.topics import SERVICES
from support.postgres import ADMIN, PostgresServer, find_programs, running_postgres

SCRIPTS = Path(__file__).resolve().parents[2] / "infra" / "postgres"
OWNER, SERVICE, TEAMS = "quotes'-and-$", "for_services-1", "for_teams-1"


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with running_postgres() as found:
        yield found


def prepare(server: PostgresServer, script: str) -> subprocess.CompletedProcess[str]:
    """Run ``script`` as the image does: as the superuser of an empty cluster."""
    password = server.url().split(":")[2].split("@")[0]
    environment = {
        "PATH": f"{find_programs()}:{os.defpath}",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "PGPASSWORD": password,
        "POSTGRES_USER": ADMIN,
        "STORE_OWNER_PASSWORD": OWNER,
        "STORE_SERVICES_PASSWORD": SERVICE,
        "DATABASES_PASSWORD": TEAMS,
    }
    return subprocess.run(  # noqa: S603 - our own script
        ["sh", SCRIPTS / script],  # noqa: S607 - the shell on the PATH
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )


def test_the_store_can_be_migrated_and_used_by_its_two_roles_only(server: PostgresServer) -> None:
    done = prepare(server, "store.sh")
    assert done.returncode == 0, done.stderr
    quoted = OWNER.replace("'", "%27").replace("$", "%24")
    owner = server.url("busbar", user="busbar_owner", password=quoted)
    service = server.url("busbar", user="busbar_services", password=SERVICE)
    database = Database(url=SecretStr(service), owner_url=SecretStr(owner))
    assert set(database.migrate()) == {*SERVICES, "secrets"}
    assert asyncio.run(store_server_at(SecretStr(service)))

    async def may(sql: str) -> None:
        connection = await asyncpg.connect(service)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    asyncio.run(may("SELECT count(*) FROM busbar_policy.events"))
    for change in ("DELETE FROM busbar_policy.events", "CREATE TABLE public.own (id int)"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            asyncio.run(may(change))


def test_the_administrator_of_databases_for_teams_creates_databases_and_is_not_a_superuser(
    server: PostgresServer,
) -> None:
    done = prepare(server, "databases.sh")
    assert done.returncode == 0, done.stderr

    async def rights() -> tuple[bool, bool, bool]:
        url = server.url(user="busbar_databases", password=TEAMS)
        connection = await asyncpg.connect(url)
        try:
            await connection.execute("CREATE DATABASE orders")
            row = await connection.fetchrow(
                "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles"
                " WHERE rolname = current_user"
            )
        finally:
            await connection.close()
        assert row is not None
        return row[0], row[1], row[2]

    assert asyncio.run(rights()) == (False, True, True)


@pytest.mark.parametrize("script", ["store.sh", "databases.sh"])
def test_a_second_run_fails_aloud(server: PostgresServer, script: str) -> None:
    assert prepare(server, script).returncode == 0
    again = prepare(server, script)
    assert again.returncode != 0
    assert "already exists" in again.stderr
