"""Removing a database: the role is locked first, and what it has elsewhere is dropped or named."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from busbar.backends.port import Call, Outcome, Presence, Result
from busbar.backends.postgres.apply import ApplyDatabase
from busbar.backends.postgres.session import Session
from busbar.testing.contract import apply_and_observe, is_permanent_refusal, make_call
from support import eventually
from support.postgres import running_postgres
from support.postgres_databases import CLUSTER, OPERATOR, Crash, PostgresHarness, crash_at

pytestmark = pytest.mark.timeout(60)


async def made(harness: PostgresHarness) -> tuple[Call, str, str]:
    """A database, with its name and its owner's URL."""
    call = make_call(harness.inputs())
    await apply_and_observe(harness.backend, call)
    return call, call.inputs["name"], harness.credentials(call.inputs)


async def as_owner(url: str, *statements: str, database: str | None = None) -> None:
    connection = await asyncpg.connect(url, database=database)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def gone(harness: PostgresHarness, call: Call) -> None:
    assert await harness.backend.remove(call) == Outcome.done()
    assert await harness.inspect(call.inputs) is None


@pytest.mark.parametrize(
    "remains",
    [
        "SELECT lo_create(0)",
        "CREATE SCHEMA mess_{0}; CREATE TABLE mess_{0}.mess (id serial)",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    ],
)
async def test_what_a_role_has_left_in_a_template_is_dropped(
    harness: PostgresHarness, remains: str
) -> None:
    harness.secrets[CLUSTER] = SecretStr(harness.server.url())
    call, name, url = await made(harness)
    await harness.run(f"GRANT CREATE ON DATABASE template1 TO {name}")
    await as_owner(url, remains.format(name), database="template1")
    await gone(harness, call)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(url, database="template1")
    # The template can be copied immediately, without anything of the role.
    await harness.run(f"CREATE DATABASE {name}_copy TEMPLATE template1")
    try:
        left = (
            "SELECT oid FROM pg_class WHERE relname = 'mess' UNION SELECT loid FROM pg_largeobject"
        )
        assert await harness.query(left, database=f"{name}_copy") == []
    finally:
        await harness.run(f"DROP DATABASE {name}_copy")


GRANTS = {
    "database postgres": "GRANT CREATE, CONNECT ON DATABASE postgres TO {0}",
    "table public.lent in the database postgres": "GRANT SELECT ON lent TO {0} WITH GRANT OPTION",
    "parameter log_min_duration_statement": (
        "GRANT SET ON PARAMETER log_min_duration_statement TO {0}"
    ),
}


@pytest.fixture
async def lent(harness: PostgresHarness) -> AsyncIterator[None]:
    """A table of another owner in another database."""
    await harness.run("CREATE TABLE lent (id int)")
    yield
    await harness.run("DROP TABLE lent")


@pytest.mark.parametrize(
    "grant",
    [
        *GRANTS.values(),
        "ALTER DEFAULT PRIVILEGES FOR ROLE {0} GRANT SELECT ON TABLES TO PUBLIC",
        "CREATE POLICY theirs ON lent TO {0} USING (true)",
    ],
)
@pytest.mark.usefixtures("lent")
async def test_privileges_in_other_databases_are_revoked(
    harness: PostgresHarness, grant: str
) -> None:
    harness.secrets[CLUSTER] = SecretStr(harness.server.url())
    call, name, _ = await made(harness)
    await harness.run(grant.format(name))
    await gone(harness, call)


@pytest.mark.parametrize(("named", "grant"), GRANTS.items())
@pytest.mark.usefixtures("lent")
async def test_privileges_that_the_administrator_may_not_revoke_are_named(
    harness: PostgresHarness, named: str, grant: str
) -> None:
    call, name, _ = await made(harness)
    await harness.run(grant.format(name))
    outcome = await harness.backend.remove(call)
    assert is_permanent_refusal(outcome, "refused")
    assert f"has privileges on objects outside of its database: {named}." in outcome.detail
    databases = "SELECT datname FROM pg_database WHERE datname = $1"
    assert await harness.query(databases, name) == [(name,)]
    await harness.run(f"DROP OWNED BY {name}")
    await gone(harness, call)


@pytest.mark.parametrize(
    ("objects", "named", "cleanup"),
    [
        (
            "CREATE TABLE mess_{0} (id int); ALTER TABLE mess_{0} OWNER TO {0}",
            "table public.mess_{0} in the database postgres",
            "DROP TABLE mess_{0}",
        ),
        (
            "CREATE DATABASE {0}_x OWNER {0}",
            "database {0}_x",
            "DROP DATABASE {0}_x",
        ),
    ],
)
async def test_objects_in_other_databases_are_named_and_nothing_is_dropped(
    harness: PostgresHarness, objects: str, named: str, cleanup: str
) -> None:
    call, name, url = await made(harness)
    await harness.run(*objects.format(name).split("; "))
    try:
        outcome = await harness.backend.remove(call)
        assert is_permanent_refusal(outcome, "refused")
        assert named.format(name) in outcome.detail
        assert "drop or reassign" in outcome.detail
        assert (await harness.backend.observe(call)).presence is Presence.OURS
        databases = "SELECT datname FROM pg_database WHERE datname = $1"
        assert await harness.query(databases, name) == [(name,)]
        with pytest.raises(asyncpg.PostgresError, match="not permitted to log in"):
            await asyncpg.connect(url)
        assert (await apply_and_observe(harness.backend, call)).ready
        await (await asyncpg.connect(url)).close()
    finally:
        await harness.run(cleanup.format(name))
    await gone(harness, call)


async def test_objects_where_the_administrator_may_not_connect_are_counted(
    harness: PostgresHarness,
) -> None:
    call, name, _ = await made(harness)
    closed = f"{name}_closed"
    await harness.run(f"CREATE DATABASE {closed}")
    try:
        await harness.run(f"CREATE SCHEMA theirs AUTHORIZATION {name}", database=closed)
        await harness.run(f"REVOKE CONNECT ON DATABASE {closed} FROM PUBLIC")
        outcome = await harness.backend.remove(call)
        assert is_permanent_refusal(outcome, "refused")
        assert f"1 object(s) in the database {closed}" in outcome.detail
    finally:
        await harness.run(f"DROP DATABASE {closed}")
    await gone(harness, call)


async def test_what_depends_on_the_remains_is_named_with_the_detail_of_postgresql(
    harness: PostgresHarness,
) -> None:
    harness.secrets[CLUSTER] = SecretStr(harness.server.url())
    call, name, url = await made(harness)
    await harness.run(f"GRANT CREATE ON DATABASE template1 TO {name}")
    schema = f"own_{name}"
    await as_owner(
        url, f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.base (id int)", database="template1"
    )
    view = f"CREATE VIEW public.on_{name} AS TABLE {schema}.base"
    await harness.run(view, database="template1")
    try:
        outcome = await harness.backend.remove(call)
        assert is_permanent_refusal(outcome, "refused")
        assert f"view public.on_{name} depends on table {schema}.base" in outcome.detail
    finally:
        await harness.run(f"DROP VIEW public.on_{name}", database="template1")
    await gone(harness, call)


async def test_the_role_is_locked_and_its_sessions_end_before_anything_is_dropped(
    harness: PostgresHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, _, url = await made(harness)
    here = await asyncpg.connect(url)
    elsewhere = await asyncpg.connect(url, database="template1")
    fetch = Session.fetch
    seen: list[str] = []

    async def looking(session: Session, query: str, *values: object, **options: object) -> object:
        if "pg_shdepend" in query and not seen:
            for connection in (here, elsewhere):
                with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)) as raised:
                    await connection.fetchval("SELECT 1")
                seen.append(type(raised.value).__name__)
            with pytest.raises(asyncpg.PostgresError, match="not permitted to log in"):
                await asyncpg.connect(url)
        return await fetch(session, query, *values, **options)  # type: ignore[arg-type]  # the options of both are the same

    monkeypatch.setattr(Session, "fetch", looking)
    await gone(harness, call)
    assert len(seen) == 2
    for connection in (here, elsewhere):
        connection.terminate()


async def test_a_role_that_was_granted_to_another_cannot_be_used_any_more(
    harness: PostgresHarness,
) -> None:
    call, name, _ = await made(harness)
    other, other_name, other_url = await made(harness)
    await harness.run(f"GRANT {name} TO {other_name}")
    await as_owner(other_url, f"SET ROLE {name}")
    await harness.run("CREATE TABLE kept (id int)", f"ALTER TABLE kept OWNER TO {name}")
    try:
        assert is_permanent_refusal(await harness.backend.remove(call), "refused")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await as_owner(other_url, f"SET ROLE {name}")
    finally:
        await harness.run("DROP TABLE kept")
    await gone(harness, call)
    await gone(harness, other)


async def test_a_database_that_its_owner_has_made_a_template_is_dropped(
    harness: PostgresHarness,
) -> None:
    call, name, url = await made(harness)
    await as_owner(url, f"ALTER DATABASE {name} IS_TEMPLATE true", database="template1")
    await gone(harness, call)


async def test_a_prepared_transaction_of_the_owner_is_rolled_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with running_postgres(max_prepared_transactions="5") as server:
        harness = PostgresHarness(server, monkeypatch)
        await harness.begin()
        call, _, url = await made(harness)
        await as_owner(url, "BEGIN", "CREATE TABLE x (id int)", "PREPARE TRANSACTION 'x'")
        await as_owner(
            url, "BEGIN", "SELECT lo_create(0)", "PREPARE TRANSACTION 'it''s'", database="template1"
        )
        await gone(harness, call)


async def test_the_stored_password_of_a_database_that_someone_else_dropped_is_removed(
    harness: PostgresHarness,
) -> None:
    call, name, _ = await made(harness)
    await harness.run(f"DROP DATABASE {name}", f"DROP ROLE {name}")
    assert harness.reference(call.inputs) in harness.secrets
    seen = await harness.backend.observe(call)
    assert (seen.presence, seen.ready, seen.as_asked) == (Presence.OURS, False, False)
    await gone(harness, call)
    assert (await harness.backend.observe(call)).presence is Presence.ABSENT


async def test_a_database_that_someone_else_dropped_is_created_again_with_its_password(
    harness: PostgresHarness,
) -> None:
    call, name, url = await made(harness)
    await harness.run(f"DROP DATABASE {name}", f"DROP ROLE {name}")
    assert (await apply_and_observe(harness.backend, call)).ready
    assert harness.credentials(call.inputs) == url
    await (await asyncpg.connect(url)).close()


async def test_a_process_that_has_lost_its_session_stores_no_password(
    harness: PostgresHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is paused between two steps, another process removes everything."""
    call = make_call(harness.inputs())
    work = ApplyDatabase._enable_login

    async def late(self: ApplyDatabase, *state: Any, works: bool) -> None:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1"
        await harness.query(query, OPERATOR)
        await eventually(ended, what="the end of the session")
        with monkeypatch.context() as patch:
            patch.setattr(ApplyDatabase, "_enable_login", work)
            await gone(harness, replace(call, epoch=2))
        await work(self, *state, works=works)

    async def ended() -> bool:
        query = "SELECT 1 FROM pg_stat_activity WHERE usename = $1"
        return not await harness.query(query, OPERATOR)

    monkeypatch.setattr(ApplyDatabase, "_enable_login", late)
    assert (await harness.backend.apply(call)).result is Result.UNKNOWN
    assert await harness.inspect(call.inputs) is None


@pytest.mark.parametrize("number", range(4))
async def test_a_crash_after_each_step_leaves_a_role_that_cannot_log_in(
    harness: PostgresHarness, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    call, _, url = await made(harness)
    await as_owner(url, "SELECT lo_create(0)", database="template1")
    with monkeypatch.context() as patch:
        crash_at(patch, number, after=True)
        with pytest.raises(Crash):
            await harness.backend.remove(call)
    with pytest.raises(asyncpg.PostgresError):
        await asyncpg.connect(url, database="template1")
    await gone(harness, call)


# -- a role that was renamed ----------------------------------------------------------------------


async def renamed(harness: PostgresHarness) -> tuple[Call, str]:
    """A database whose role someone else has renamed, and its name."""
    call, name, _ = await made(harness)
    await harness.run(f"ALTER ROLE {name} RENAME TO {name}_renamed")
    return call, name


async def roles_like(harness: PostgresHarness, name: str) -> list[str]:
    found = await harness.query("SELECT rolname FROM pg_roles WHERE rolname ~ $1", f"^{name}")
    return [str(role) for (role,) in found]


async def test_a_role_that_was_renamed_is_known_by_its_mark_and_dropped_with_its_password(
    harness: PostgresHarness,
) -> None:
    call, name = await renamed(harness)
    await gone(harness, call)
    assert await roles_like(harness, name) == []


async def test_a_role_without_the_mark_that_has_the_name_now_is_not_touched(
    harness: PostgresHarness,
) -> None:
    call, name = await renamed(harness)
    await harness.run(f"CREATE ROLE {name} LOGIN")
    before = await harness.query("SELECT * FROM pg_authid WHERE rolname = $1", name)
    assert await harness.backend.remove(call) == Outcome.done()
    assert await roles_like(harness, name) == [name]
    assert await harness.query("SELECT * FROM pg_authid WHERE rolname = $1", name) == before
    assert harness.secrets.get(harness.reference(call.inputs)) is None


async def test_a_renamed_role_that_lost_its_mark_keeps_its_database(
    harness: PostgresHarness,
) -> None:
    call, name = await renamed(harness)
    await harness.run(f"COMMENT ON ROLE {name}_renamed IS NULL")
    assert is_permanent_refusal(await harness.backend.remove(call), "not_ours")
    assert await roles_like(harness, name) == [f"{name}_renamed"]
    await harness.run(f"DROP DATABASE {name}", f"DROP ROLE {name}_renamed")


@pytest.mark.parametrize("number", range(4))
async def test_a_crash_after_each_step_of_dropping_a_renamed_role_leaves_nothing(
    harness: PostgresHarness, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    call, name = await renamed(harness)
    with monkeypatch.context() as patch:
        crash_at(patch, number, after=True)
        with pytest.raises(Crash):
            await harness.backend.remove(call)
    await gone(harness, call)
    assert await roles_like(harness, name) == []


async def test_an_apply_where_the_role_was_renamed_says_so(harness: PostgresHarness) -> None:
    call, name = await renamed(harness)
    outcome = await harness.backend.apply(call)
    assert is_permanent_refusal(outcome, "cannot_change")
    assert "rename it back" in outcome.detail
    await harness.run(f"ALTER ROLE {name}_renamed RENAME TO {name}")
    await apply_and_observe(harness.backend, call)
