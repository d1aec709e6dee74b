"""The promise `postgres-database` on a whole platform, its own state in files and on a server."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from busbar.cli.local import Platform
from busbar.cli.local.plan import ServicePlan, Wiring, plan_services
from busbar.messages.http import Sentence
from busbar.messages.topics import SERVICES
from busbar.messages.views import OperationView
from busbar.sdk import Client
from e2e.conftest import client_of
from e2e.test_commands import busbar
from support import eventually
from support.leaks import in_files, in_topics
from support.postgres import PostgresServer, postgres
from support.postgres_store import StoreCluster

__all__ = ["postgres"]

pytestmark = pytest.mark.timeout(300)  # the first test of each waits for a whole platform

OPERATOR = "busbar_databases"
CLUSTER = "postgres-cluster"


@dataclass(frozen=True, slots=True)
class Stage:
    """A platform, the cluster for databases, and where everything of it is written."""

    platform: Platform
    databases: PostgresServer
    password: str
    """Of the operator."""
    environment: Mapping[str, str] = field(default_factory=dict)
    store: PostgresServer | None = None

    @property
    def operator_url(self) -> str:
        return self.databases.url(user=OPERATOR, password=self.password)

    async def secrets(self, *arguments: str, stdin: str = "") -> str:
        """Run `busbar secrets …` beside the platform; return its output."""
        code, out, errors = await busbar(
            *("--home", str(self.platform.home), "secrets", *arguments),
            environment=self.environment,
            stdin=stdin,
        )
        assert code == 0, errors
        return out

    async def offer(self, url: str | None = None) -> None:
        """Store the credentials of the cluster for databases."""
        await self.secrets("put", CLUSTER, stdin=f"{url or self.operator_url}\n")

    async def listed(self) -> str:
        return await self.secrets("list", "-o", "json")

    async def query(self, query: str, *values: Any, database: str = "postgres") -> list[Any]:
        """As the superuser of the cluster."""
        connection = await asyncpg.connect(self.databases.url(database))
        try:
            return [tuple(row) for row in await connection.fetch(query, *values)]
        finally:
            await connection.close()

    async def run(self, *statements: str) -> None:
        """As the superuser of the cluster."""
        connection = await asyncpg.connect(self.databases.url())
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def what_is_left(self, name: str) -> list[Any]:
        """Databases and roles called ``name``."""
        return await self.query(
            "SELECT 'database' FROM pg_database WHERE datname = $1"
            " UNION ALL SELECT 'role' FROM pg_roles WHERE rolname = $1",
            name,
        )


async def make_operator(server: PostgresServer, password: str) -> None:
    """The administrator that the how-to describes, which is not a superuser."""
    connection = await asyncpg.connect(server.url())
    try:
        await connection.execute(
            f"CREATE ROLE {OPERATOR} LOGIN CREATEDB CREATEROLE PASSWORD '{password}';"
            "REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC;"
            f"GRANT CONNECT ON DATABASE postgres, template1 TO {OPERATOR}"
        )
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def on_files(platform: Platform, postgres: PostgresServer) -> Stage:
    password = secrets.token_urlsafe(24)
    asyncio.run(make_operator(postgres, password))
    return Stage(platform, postgres, password)


@pytest.fixture(scope="module")
def on_server(tmp_path_factory: pytest.TempPathFactory, on_files: Stage) -> Iterator[Stage]:
    """Events and secrets in PostgreSQL, in a cluster of their own."""
    with PostgresServer(fsync=False, settings={"autovacuum": "off"}) as server:
        cluster = StoreCluster(server)
        asyncio.run(prepared(cluster, on_files.password))
        environment = {"BUSBAR_DATABASE_URL": cluster.url}

        def services(wiring: Wiring) -> tuple[ServicePlan, ...]:
            return tuple(
                replace(plan, environment={**plan.environment, **environment})
                for plan in plan_services(wiring)
            )

        with Platform(tmp_path_factory.mktemp("server-home"), services=services) as platform:
            platform.wait_ready()
            yield replace(on_files, platform=platform, environment=environment, store=server)


async def prepared(cluster: StoreCluster, password: str) -> None:
    await cluster.prepare()
    await cluster.migrate(*SERVICES)
    await make_operator(cluster.server, password)


@pytest.fixture(params=["on_files", "on_server"])
def stage(request: pytest.FixtureRequest) -> Stage:
    """Both of them, with the cluster for databases offered."""
    found: Stage = request.getfixturevalue(request.param)
    asyncio.run(found.offer())
    return found


@pytest.fixture
async def client(stage: Stage) -> AsyncIterator[Client]:
    async with client_of(stage.platform) as found:
        yield found


async def done(client: Client, resource: str, spec: dict[str, Any] | None) -> OperationView:
    """The end of applying ``spec``, or of deleting if there is none."""
    asked = client.delete(resource) if spec is None else client.apply(resource, spec)
    return await client.wait((await asked).operation, timeout=60)


def names(team: str) -> tuple[str, str, str]:
    """A resource, its database and the name of its secret."""
    name = f"{team.replace('-', '_')}__dev__orders"
    secret = "database-" + name.replace("_", "-")
    return f"{team}/dev/postgres-database/orders", name, secret


async def test_a_database_is_made_used_changed_and_gone_and_its_password_is_nowhere(
    stage: Stage, client: Client, team: str
) -> None:
    resource, name, secret = names(team)
    view = await done(client, resource, {"connection_limit": 2, "extensions": ["citext"]})
    assert (view.status, view.detail) == ("succeeded", "created"), view
    assert view.outputs == {
        "database": name,
        "owner": name,
        "credentials": f"secret:{secret}",
    }
    url = (await stage.secrets("show", secret, "--reveal")).strip()
    await works(url, name)
    await grants_are_as_promised(stage, name, url)
    assert f'"team": "{team}"' in await stage.listed()
    view = await done(client, resource, {"connection_limit": 3, "extensions": ["citext"]})
    assert (view.status, view.detail) == ("succeeded", "updated")
    assert await stage.query("SELECT rolconnlimit FROM pg_roles WHERE rolname = $1", name) == [(3,)]
    assert (await stage.secrets("show", secret, "--reveal")).strip() == url
    await hidden(stage, client, view, url, seen=name)
    view = await done(client, resource, None)
    assert (view.status, view.detail) == ("succeeded", "deleted")
    assert await stage.what_is_left(name) == []
    assert secret not in await stage.listed()
    await hidden(stage, client, view, url, seen=name)


async def works(url: str, name: str) -> None:
    """The credentials are those of the owner, who may work in the database."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CREATE TABLE orders (id int, who citext)")
        await connection.execute("INSERT INTO orders VALUES (1, 'A')")
        assert await connection.fetchval("SELECT id FROM orders WHERE who = 'a'") == 1
        found = await connection.fetchrow("SELECT current_user, current_database()")
        assert tuple(found or ()) == (name, name)
    finally:
        await connection.close()


async def grants_are_as_promised(stage: Stage, name: str, url: str) -> None:
    rights = "rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolconnlimit"
    (role,) = await stage.query(f"SELECT {rights} FROM pg_roles WHERE rolname = $1", name)  # noqa: S608 - columns of ours
    assert role == (False, False, False, False, 2)
    (database,) = await stage.query(
        "SELECT has_database_privilege('public', oid, 'CONNECT'), pg_get_userbyid(datdba)"
        " FROM pg_database WHERE datname = $1",
        name,
    )
    assert database == (False, name)
    for shared in ("postgres", "template1"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(url, database=shared)


async def hidden(stage: Stage, client: Client, view: OperationView, url: str, *, seen: str) -> None:
    """The password is in no record, file, log, dead letter, view or explanation; ``seen`` is."""
    password = urlsplit(url).password
    assert password
    assert len(password) > 40
    platform = stage.platform
    found = await in_topics(platform.bootstrap, seen, password, stage.password)
    assert len(found.pop(seen)) > 3
    assert found == {password: [], stage.password: []}
    folders = [platform.home, *([stage.store.folder] if stage.store else [])]
    assert in_files(seen, *folders)
    assert in_files(password, *folders, stage.databases.folder) == []
    assert in_files(stage.password, platform.home) == []
    assert password not in view.model_dump_json()

    async def explanation() -> list[Sentence]:
        return [sentence async for sentence in client.why(view.id)]

    assert password not in str(await eventually(explanation, what="the explanation"))


async def test_a_database_of_another_owner_is_refused_and_stays_as_it_is(
    stage: Stage, client: Client, team: str
) -> None:
    resource, name, secret = names(team)
    connection = await asyncpg.connect(stage.databases.url())
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    before = await stage.query("SELECT * FROM pg_database WHERE datname = $1", name)
    view = await done(client, resource, {})
    assert (view.status, view.reason) == ("failed", "not_ours"), view
    assert f"the database {name} exists and has no mark of busbar" in view.detail
    assert await stage.query("SELECT * FROM pg_database WHERE datname = $1", name) == before
    assert await stage.what_is_left(name) == [("database",)]
    assert secret not in await stage.listed()


async def test_what_a_role_left_in_an_open_template_does_not_keep_it(
    stage: Stage, client: Client, team: str
) -> None:
    """A cluster on which one line of the set-up was left out."""
    resource, name, secret = names(team)
    assert (await done(client, resource, {})).status == "succeeded"
    url = (await stage.secrets("show", secret, "--reveal")).strip()
    await stage.run("GRANT CONNECT ON DATABASE template1 TO PUBLIC")
    try:
        connection = await asyncpg.connect(url, database="template1")
        await connection.execute("SELECT lo_create(0)")
        await connection.close()
        view = await done(client, resource, None)
    finally:
        await stage.run("REVOKE CONNECT ON DATABASE template1 FROM PUBLIC")
    assert (view.status, view.detail) == ("succeeded", "deleted"), view
    assert await stage.what_is_left(name) == []
    assert secret not in await stage.listed()


async def test_objects_in_another_database_are_named_and_the_role_is_locked(
    stage: Stage, client: Client, team: str
) -> None:
    resource, name, secret = names(team)
    assert (await done(client, resource, {})).status == "succeeded"
    url = (await stage.secrets("show", secret, "--reveal")).strip()
    await stage.run("CREATE TABLE kept (id int)", f"ALTER TABLE kept OWNER TO {name}")
    deleting = await client.delete(resource)

    async def named() -> bool:
        view = await client.operation(deleting.operation)
        return "table public.kept in the database postgres" in view.model_dump_json()

    try:
        await eventually(named, within=60, what="the reason")
        assert ("database",) in await stage.what_is_left(name)
        with pytest.raises(asyncpg.PostgresError, match="not permitted to log in"):
            await asyncpg.connect(url)
    finally:
        await stage.run("DROP TABLE kept")

    async def deleted() -> bool:
        return (await client.operation(deleting.operation)).status == "succeeded"

    await eventually(deleted, within=150, what="the retry of the deletion")
    assert await stage.what_is_left(name) == []


async def test_a_wrong_password_waits_until_it_is_corrected_and_is_never_shown(
    stage: Stage, client: Client, team: str
) -> None:
    resource, _, _ = names(team)
    wrong = secrets.token_urlsafe(24)
    await stage.offer(stage.databases.url(user=OPERATOR, password=wrong))
    accepted = await client.apply(resource, {})

    async def answered() -> bool:
        view = await client.operation(accepted.operation)
        return "password authentication failed" in view.model_dump_json()

    await eventually(answered, within=60, what="the cluster's answer")
    await stage.offer()
    view = await client.wait(accepted.operation, timeout=90)
    assert view.status == "succeeded", view
    assert (await in_topics(stage.platform.bootstrap, wrong))[wrong] == []
    assert in_files(wrong, stage.platform.home) == []
    assert (await done(client, resource, None)).status == "succeeded"


async def test_the_cluster_of_the_store_is_refused_and_another_one_is_taken(
    on_server: Stage, team: str
) -> None:
    resource, name, secret = names(team)
    assert on_server.store is not None
    in_store = replace(on_server, databases=on_server.store)
    await on_server.offer(in_store.operator_url)
    async with client_of(on_server.platform) as client:
        view = await done(client, resource, {})
        assert view.status == "failed", view
        ((system,),) = await in_store.query("SELECT system_identifier FROM pg_control_system()")
        assert f"system identifier {system}" in view.detail
        assert await in_store.what_is_left(name) == []
        assert secret not in await on_server.listed()
        await on_server.offer()
        assert (await done(client, resource, {})).status == "succeeded"
        assert (await done(client, resource, None)).status == "succeeded"


async def test_a_subscription_cannot_sign_with_the_secret_of_another_team(
    stage: Stage, client: Client, team: str
) -> None:
    for owner in (team, f"{team}-b"):
        await stage.secrets("put", owner, "--team", owner, stdin=whsec())
    for subscriber, status in ((f"{team}-b", "denied"), (team, "succeeded")):
        accepted = await client.subscribe(
            f"{subscriber}/hook",
            url="http://127.0.0.1:9/hook",
            types=("busbar.resource.provisioned.v1",),
            secret=f"secret:{team}",
        )
        view = await client.wait(accepted.operation, timeout=30)
        assert view.status == status, view
        if status == "denied":
            assert f"busbar secrets put {team} --team {subscriber}" in view.model_dump_json()


def whsec() -> str:
    return "whsec_" + secrets.token_hex(32)


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    file = tmp_path / "a" / "log"
    file.write_bytes(b"x" * ((1 << 20) - 3) + b"needle" + b"x")
    assert in_files("needle", tmp_path) == [str(file)]
    assert in_files("noodle", tmp_path) == []
