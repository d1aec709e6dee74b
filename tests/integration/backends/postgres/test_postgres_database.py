"""The PostgreSQL databases adapter passes the suite on a real cluster."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from pydantic import SecretStr

from busbar.backends.port import (
    BackendUnavailable,
    Environment,
    Fencing,
    Observation,
    Outcome,
    Presence,
    Result,
)
from busbar.backends.postgres import PostgresDatabaseBackend
from busbar.backends.postgres import inputs as inputs_module
from busbar.backends.postgres.inputs import read_target
from busbar.backends.postgres.session import Session
from busbar.testing import MemorySecrets
from busbar.testing.contract import (
    OTHER_OWNER,
    OWNER,
    BackendContract,
    apply_and_observe,
    is_permanent_refusal,
    make_call,
)
from support import eventually
from support.postgres import PostgresServer
from support.postgres_databases import (
    CLUSTER,
    OPERATOR,
    Crash,
    PostgresHarness,
    adapter,
    crash_at,
    record_changes,
)

pytestmark = pytest.mark.timeout(60)


class TestPostgresDatabase(BackendContract):
    @pytest.fixture
    def harness(self, harness: PostgresHarness) -> PostgresHarness:
        return harness


async def test_a_superuser_can_be_the_administrator(harness: PostgresHarness) -> None:
    harness.secrets[CLUSTER] = SecretStr(harness.server.url())
    call = make_call({**harness.inputs(), "extensions": ["citext"]})
    await apply_and_observe(harness.backend, call)
    assert await harness.backend.remove(call) == Outcome.done()
    assert await harness.inspect(call.inputs) is None


# -- creation -------------------------------------------------------------------------------------


async def test_the_outputs_are_complete_and_contain_no_secret(harness: PostgresHarness) -> None:
    call = make_call(harness.inputs())
    seen = await apply_and_observe(harness.backend, call)
    assert seen.ready
    name = call.inputs["name"]
    assert seen.outputs == {
        "name": name,
        "owner": name,
        "credentials": f"secret:database-{name.replace('_', '-')}",
    }


async def test_the_owner_can_work_in_the_database_with_the_credentials(
    harness: PostgresHarness,
) -> None:
    call = make_call(harness.inputs())
    await apply_and_observe(harness.backend, call)
    connection = await asyncpg.connect(harness.credentials(call.inputs))
    try:
        await connection.execute("CREATE TABLE orders (id int); CREATE SCHEMA archive")
        assert await connection.fetchval("SELECT current_database()") == call.inputs["name"]
        assert await connection.fetchval("SHOW server_encoding") == "UTF8"
    finally:
        await connection.close()


async def test_only_the_owner_can_connect_and_only_to_its_database(
    harness: PostgresHarness,
) -> None:
    call, other = make_call(harness.inputs()), make_call(harness.inputs())
    await apply_and_observe(harness.backend, call)
    await apply_and_observe(harness.backend, other)
    url = harness.credentials(call.inputs)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(url, database=other.inputs["name"])
    connection = await asyncpg.connect(url)
    try:
        for statement in ("CREATE ROLE mine", "CREATE DATABASE mine"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"COMMENT ON ROLE {call.inputs['name']} IS NULL")
    finally:
        await connection.close()


async def test_the_connection_limit_is_enforced(harness: PostgresHarness) -> None:
    call = make_call({**harness.inputs(), "connection_limit": 1})
    await apply_and_observe(harness.backend, call)
    url = harness.credentials(call.inputs)
    connection = await asyncpg.connect(url)
    try:
        with pytest.raises(asyncpg.TooManyConnectionsError):
            await asyncpg.connect(url)
        # We do not need one of the owner's connections.
        asked = replace(call, inputs={**call.inputs, "extensions": ["citext"]})
        await apply_and_observe(harness.backend, asked)
    finally:
        await connection.close()


async def test_the_password_is_in_no_log_no_outcome_and_no_repr(
    harness: PostgresHarness, caplog: pytest.LogCaptureFixture
) -> None:
    call = make_call(harness.inputs())
    seen = await apply_and_observe(harness.backend, call)
    password = urlsplit(harness.credentials(call.inputs)).password
    assert password
    assert len(password) > 40
    said = harness.server.said()
    assert f"ALTER ROLE {call.inputs['name']} LOGIN" in said
    look = await harness.inspect(call.inputs)
    for place in (said, repr(seen), repr(harness.backend), repr(look), caplog.text):
        assert password not in place
    assert look is not None
    (stored,) = await harness.query(
        "SELECT rolpassword FROM pg_authid WHERE rolname = $1", call.inputs["name"]
    )
    assert stored[0].startswith("SCRAM-SHA-256$4096:")


async def test_the_parts_of_a_name_are_joined(harness: PostgresHarness) -> None:
    plain = harness.inputs()
    parts = ["team-a", "dev", plain["name"].replace("_", "-")]
    rest = {key: value for key, value in plain.items() if key != "name"}
    call = make_call({**rest, "name_parts": parts})
    seen = await apply_and_observe(harness.backend, call)
    name = "team_a__dev__" + plain["name"]
    assert seen.outputs["name"] == name
    assert seen.outputs["credentials"] == "secret:database-" + name.replace("_", "-")
    assert await harness.backend.remove(call) == Outcome.done()
    assert await harness.inspect({"name": name}) is None


async def test_owner_credentials_and_cluster_can_be_chosen(harness: PostgresHarness) -> None:
    harness.secrets["secret:other-cluster"] = harness.secrets.pop(CLUSTER)
    plain = harness.inputs()
    call = make_call(
        {
            **plain,
            "owner": plain["name"] + "_boss",
            "credentials": "secret:database-mine",
            "cluster": "secret:other-cluster",
        }
    )
    seen = await apply_and_observe(harness.backend, call)
    assert seen.outputs["owner"] == plain["name"] + "_boss"
    assert seen.outputs["credentials"] == "secret:database-mine"
    await (
        await asyncpg.connect(harness.secrets["secret:database-mine"].get_secret_value())
    ).close()
    assert await harness.backend.remove(call) == Outcome.done()
    assert await harness.inspect(call.inputs) is None
    assert "secret:database-mine" not in harness.secrets


# -- changes --------------------------------------------------------------------------------------


async def test_extensions_are_installed_and_added_but_never_removed(
    harness: PostgresHarness,
) -> None:
    call = make_call({**harness.inputs(), "extensions": ["pgcrypto"]})
    await apply_and_observe(harness.backend, call)
    both = replace(call, inputs={**call.inputs, "extensions": ["uuid-ossp", "pgcrypto"]})
    assert (await harness.backend.observe(both)).differs == ("extensions",)
    await apply_and_observe(harness.backend, both)
    installed = "SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1"
    found = await harness.query(installed, database=call.inputs["name"])
    assert found == [("pgcrypto",), ("uuid-ossp",)]
    before = await harness.inspect(call.inputs)
    assert (await harness.backend.observe(call)).differs == ("extensions",)
    outcome = await harness.backend.apply(call)
    assert is_permanent_refusal(outcome, "cannot_change")
    assert "uuid-ossp" in outcome.detail
    assert await harness.inspect(call.inputs) == before


async def test_an_extension_that_the_owner_installed_is_ignored(harness: PostgresHarness) -> None:
    call = make_call({**harness.inputs(), "extensions": ["citext"]})
    await apply_and_observe(harness.backend, call)
    connection = await asyncpg.connect(harness.credentials(call.inputs))
    await connection.execute("CREATE EXTENSION hstore")
    await connection.close()
    await apply_and_observe(harness.backend, call)


@pytest.mark.parametrize("extension", ["file_fdw", "plpython3u", "citext; DROP ROLE operator"])
async def test_an_extension_that_is_not_allowed_is_invalid(
    harness: PostgresHarness, extension: str
) -> None:
    call = make_call({**harness.inputs(), "extensions": [extension]})
    assert is_permanent_refusal(await harness.backend.apply(call), "invalid_inputs")
    assert await harness.inspect(call.inputs) is None


async def test_an_extension_that_is_not_trusted_is_refused_even_if_it_is_allowed(
    harness: PostgresHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.secrets[CLUSTER] = SecretStr(harness.server.url())
    monkeypatch.setattr(inputs_module, "EXTENSIONS", frozenset({"file_fdw"}))
    call = make_call({**harness.inputs(), "extensions": ["file_fdw"]})
    outcome = await harness.backend.apply(call)
    assert is_permanent_refusal(outcome, "refused")
    assert "file_fdw as trusted" in outcome.detail
    assert await harness.inspect(call.inputs) is None


async def test_an_extension_that_is_dropped_is_installed_again(harness: PostgresHarness) -> None:
    call = make_call({**harness.inputs(), "extensions": ["citext"]})
    await apply_and_observe(harness.backend, call)
    await harness.run("DROP EXTENSION citext", database=call.inputs["name"])
    assert (await harness.backend.observe(call)).differs == ("extensions",)
    await apply_and_observe(harness.backend, call)


@pytest.mark.parametrize(
    ("field", "value"),
    [("owner", "someone_else"), ("credentials", "secret:database-elsewhere")],
)
async def test_owner_and_reference_cannot_change(
    harness: PostgresHarness, field: str, value: str
) -> None:
    call = make_call(harness.inputs())
    await apply_and_observe(harness.backend, call)
    before = await harness.inspect(call.inputs)
    other = replace(call, inputs={**call.inputs, field: value})
    assert field in (await harness.backend.observe(other)).differs
    assert is_permanent_refusal(await harness.backend.apply(other), "cannot_change")
    assert await harness.inspect(call.inputs) == before


async def test_a_role_owns_one_database(harness: PostgresHarness) -> None:
    first, second = make_call(harness.inputs()), make_call(harness.inputs())
    await apply_and_observe(harness.backend, first)
    inputs = {**second.inputs, "owner": first.inputs["name"]}
    assert (await harness.backend.observe(make_call(inputs))).presence is Presence.ABSENT
    assert is_permanent_refusal(await harness.backend.apply(make_call(inputs)), "cannot_change")
    assert await harness.backend.remove(make_call(inputs)) == Outcome.done()
    assert await harness.inspect(second.inputs) is None
    assert (await harness.backend.observe(first)).as_asked


@pytest.mark.parametrize(
    ("damage", "differs"),
    [
        ("GRANT CONNECT ON DATABASE {0} TO PUBLIC", "owner"),
        ("ALTER ROLE {0} NOLOGIN", "credentials"),
        ("ALTER ROLE {0} VALID UNTIL '2001-01-01'", "credentials"),
        ("ALTER ROLE {0} VALID UNTIL '2901-01-01'", "credentials"),
        ("ALTER ROLE {0} PASSWORD NULL", "credentials"),
        ("ALTER ROLE {0} PASSWORD 'another'", "credentials"),
        ("ALTER ROLE {0} CONNECTION LIMIT 77", "connection_limit"),
        ("ALTER ROLE {0} CONNECTION LIMIT 0", "connection_limit"),
        ("ALTER ROLE {0} CONNECTION LIMIT -1", "connection_limit"),
        ("ALTER DATABASE {0} CONNECTION LIMIT 0", "connection_limit"),
        ("ALTER DATABASE {0} ALLOW_CONNECTIONS false", "credentials"),
        ("REVOKE ALL ON DATABASE {0} FROM {0}", "credentials"),
        ("ALTER ROLE {0} SET local_preload_libraries = 'none'", "credentials"),
        ("ALTER ROLE {0} IN DATABASE {0} SET local_preload_libraries = 'none'", "credentials"),
        ("ALTER DATABASE {0} SET local_preload_libraries = 'none'", "credentials"),
        ("UPDATE pg_database SET datconnlimit = -2 WHERE datname = '{0}'", "name"),
        (f"REVOKE {{0}} FROM {OPERATOR}", "owner"),
        (f"REVOKE {{0}} FROM {OPERATOR}; ALTER ROLE {{0}} NOLOGIN", "credentials"),
    ],
)
async def test_a_manual_change_is_observed_and_repaired(
    harness: PostgresHarness, damage: str, differs: str
) -> None:
    call = make_call({**harness.inputs(), "extensions": ["citext"]})
    await apply_and_observe(harness.backend, call)
    await harness.run(damage.format(call.inputs["name"]))
    assert differs in (await harness.backend.observe(call)).differs
    assert (await apply_and_observe(harness.backend, call)).ready
    await (await asyncpg.connect(harness.credentials(call.inputs))).close()


async def test_a_password_that_the_owner_has_changed_is_observed_and_set_back(
    harness: PostgresHarness,
) -> None:
    call = make_call(harness.inputs())
    await apply_and_observe(harness.backend, call)
    url = harness.credentials(call.inputs)
    connection = await asyncpg.connect(url)
    await connection.execute("ALTER ROLE CURRENT_USER PASSWORD 'own-choice'")
    await connection.close()
    assert (await harness.backend.observe(call)).differs == ("credentials",)
    await apply_and_observe(harness.backend, call)
    assert harness.credentials(call.inputs) == url
    await (await asyncpg.connect(url)).close()


async def test_a_lost_password_is_replaced_and_a_stored_one_stays(harness: PostgresHarness) -> None:
    call = make_call(harness.inputs())
    await apply_and_observe(harness.backend, call)
    first = harness.credentials(call.inputs)
    other, _ = harness.changed_inputs(call.inputs)
    await apply_and_observe(harness.backend, replace(call, inputs=other))
    assert harness.credentials(call.inputs) == first
    del harness.secrets[harness.reference(call.inputs)]
    assert (await harness.backend.observe(replace(call, inputs=other))).differs == ("credentials",)
    await apply_and_observe(harness.backend, call)
    assert harness.credentials(call.inputs) != first
    await (await asyncpg.connect(harness.credentials(call.inputs))).close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(first)


async def test_a_database_that_accepts_no_connections_is_not_ready(
    harness: PostgresHarness,
) -> None:
    call = make_call(harness.inputs())
    await apply_and_observe(harness.backend, call)
    await harness.run(f"ALTER DATABASE {call.inputs['name']} ALLOW_CONNECTIONS false")
    seen = await harness.backend.observe(call)
    assert (seen.presence, seen.ready) == (Presence.OURS, False)
    assert "connections" in seen.detail
    assert (await apply_and_observe(harness.backend, call)).ready


# -- removal --------------------------------------------------------------------------------------


async def test_removing_closes_the_connections_of_this_database_only(
    harness: PostgresHarness,
) -> None:
    calls = [make_call(harness.inputs()), make_call(harness.inputs(), owner=OTHER_OWNER)]
    for call in calls:
        await apply_and_observe(harness.backend, call)
    ours, theirs = [await asyncpg.connect(harness.credentials(call.inputs)) for call in calls]
    assert await harness.backend.remove(calls[0]) == Outcome.done()
    assert await theirs.fetchval("SELECT 1") == 1
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
        await ours.fetchval("SELECT 1")
    ours.terminate()
    await theirs.close()
    assert await harness.inspect(calls[0].inputs) is None
    assert harness.reference(calls[0].inputs) not in harness.secrets
    assert harness.reference(calls[1].inputs) in harness.secrets


async def test_our_database_can_be_removed_after_its_inputs_became_invalid(
    harness: PostgresHarness,
) -> None:
    call = make_call(harness.inputs())
    await apply_and_observe(harness.backend, call)
    stale = replace(call, inputs={**call.inputs, "connection_limit": 0, "extensions": ["gone"]})
    assert is_permanent_refusal(await harness.backend.apply(stale), "invalid_inputs")
    assert (await harness.backend.observe(stale)).differs == ("connection_limit", "extensions")
    assert await harness.backend.remove(stale) == Outcome.done()
    assert await harness.inspect(call.inputs) is None


# -- foreign things -------------------------------------------------------------------------------


async def test_a_role_without_our_mark_is_foreign_even_without_a_database(
    harness: PostgresHarness,
) -> None:
    call = make_call(harness.inputs())
    await harness.run(f"CREATE ROLE {call.inputs['name']}")
    before = await harness.inspect(call.inputs)
    assert "no mark" in (await harness.backend.observe(call)).detail
    assert is_permanent_refusal(await harness.backend.apply(call), "not_ours")
    assert is_permanent_refusal(await harness.backend.remove(call), "not_ours")
    assert await harness.inspect(call.inputs) == before


async def test_a_database_that_was_transferred_to_our_role_is_foreign(
    harness: PostgresHarness,
) -> None:
    call, other = make_call(harness.inputs()), make_call(harness.inputs())
    await apply_and_observe(harness.backend, call)
    await harness.create_foreign(other.inputs)
    await harness.run(f"ALTER DATABASE {other.inputs['name']} OWNER TO {call.inputs['name']}")
    theirs = make_call({**other.inputs, "owner": call.inputs["name"]})
    assert (await harness.backend.observe(theirs)).presence is Presence.FOREIGN
    assert is_permanent_refusal(await harness.backend.remove(theirs), "not_ours")
    assert await harness.inspect(other.inputs) is not None


@pytest.mark.parametrize("comment", ["busbar:v2:{}", "busbar:v1:{}", "busbar:v1:nonsense"])
async def test_a_mark_that_cannot_be_read_is_foreign(
    harness: PostgresHarness, comment: str
) -> None:
    call = make_call(harness.inputs())
    await apply_and_observe(harness.backend, call)
    await harness.run(f"COMMENT ON ROLE {call.inputs['name']} IS '{comment}'")
    assert "another owner" in (await harness.backend.observe(call)).detail
    assert is_permanent_refusal(await harness.backend.remove(call), "not_ours")


async def test_a_secret_that_is_not_ours_is_neither_read_nor_replaced_nor_removed(
    harness: PostgresHarness,
) -> None:
    call = make_call(harness.inputs())
    reference = harness.reference(call.inputs)
    for held in ("hush", "postgresql://else:hush@h/db", "postgresql://[hush"):
        harness.secrets[reference] = SecretStr(held)
        outcome = await harness.backend.apply(call)
        assert is_permanent_refusal(outcome, "refused")
        assert reference in outcome.detail
        assert "hush" not in outcome.detail
        assert harness.secrets[reference].get_secret_value() == held
        del harness.secrets[reference]
        assert await harness.inspect(call.inputs) is None
    await apply_and_observe(harness.backend, call)
    harness.secrets[reference] = SecretStr("hush")
    assert await harness.backend.remove(call) == Outcome.done()
    assert harness.secrets[reference].get_secret_value() == "hush"


async def test_a_database_that_appears_before_our_creation_is_not_touched(
    harness: PostgresHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database appears between observation and creation; nothing of ours remains."""
    call = make_call(harness.inputs())
    change = Session.execute

    async def late(session: Session, *changes: Any, **options: Any) -> None:
        if changes[0][0].startswith("CREATE DATABASE"):
            await harness.create_foreign(call.inputs)
        await change(session, *changes, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "execute", late)
        assert is_permanent_refusal(await harness.backend.apply(call), "not_ours")
    look = await harness.inspect(call.inputs)
    assert look is not None
    assert (len(look["database"]), look["role"], look["secret"]) == (1, [], None)


async def test_an_owner_cannot_make_the_administrator_run_its_functions(
    harness: PostgresHarness,
) -> None:
    """A search path set for the database must not reach our connections to it."""
    harness.secrets[CLUSTER] = SecretStr(harness.server.url())
    call = make_call({**harness.inputs(), "extensions": ["citext"]})
    await apply_and_observe(harness.backend, call)
    name = call.inputs["name"]
    connection = await asyncpg.connect(harness.credentials(call.inputs))
    await connection.execute(
        """
        CREATE SCHEMA trap;
        CREATE TABLE trap.caught (who text);
        CREATE TABLE trap.pg_extension (extname text);
        CREATE FUNCTION trap.format(text, VARIADIC text[]) RETURNS text LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO trap.caught VALUES (current_user); RETURN 'SELECT 1'; END $$;
        """
    )
    await connection.execute(f"ALTER DATABASE {name} SET search_path = trap, pg_catalog")
    await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await connection.close()
    more = replace(call, inputs={**call.inputs, "extensions": ["citext", "hstore"]})
    await apply_and_observe(harness.backend, more)
    assert await harness.query("TABLE trap.caught", database=name) == []
    owners = await harness.query(
        "SELECT extowner::regrole::text FROM pg_catalog.pg_extension WHERE extname = 'hstore'",
        database=name,
    )
    assert owners == [(name,)]


# -- crashes, races, epochs -----------------------------------------------------------------------

MAKING = 5
"""Role, database, restricted access, extensions, login."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(MAKING))
async def test_a_crash_while_creating_leaves_a_state_that_can_be_completed_or_removed(
    harness: PostgresHarness, monkeypatch: pytest.MonkeyPatch, number: int, *, after: bool
) -> None:
    for go_on in (True, False):
        call = make_call({**harness.inputs(), "extensions": ["citext"]})
        with monkeypatch.context() as patch:
            crash_at(patch, number, after=after)
            with pytest.raises(Crash):
                await harness.backend.apply(call)
        again = replace(call, epoch=2)
        fresh = adapter(harness.secrets)
        nothing = number == 0 and not after
        seen = await fresh.observe(again)
        assert seen.presence is (Presence.ABSENT if nothing else Presence.OURS)
        assert seen.as_asked is (number == MAKING - 1 and after)
        stranger = await fresh.observe(replace(again, owner=OTHER_OWNER))
        assert stranger.presence is (Presence.ABSENT if nothing else Presence.FOREIGN)
        if go_on:
            await apply_and_observe(fresh, again)
            await (await asyncpg.connect(harness.credentials(call.inputs))).close()
        assert await fresh.remove(again) == Outcome.done()
        assert await harness.inspect(call.inputs) is None


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(3))
async def test_a_crash_while_removing_leaves_a_state_that_can_be_removed_or_created_again(
    harness: PostgresHarness, monkeypatch: pytest.MonkeyPatch, number: int, *, after: bool
) -> None:
    for again in (False, True):
        call = make_call(harness.inputs())
        await apply_and_observe(harness.backend, call)
        with monkeypatch.context() as patch:
            crash_at(patch, number, after=after)
            with pytest.raises(Crash):
                await harness.backend.remove(call)
        gone = number == 2 and after
        presence = (await harness.backend.observe(call)).presence
        assert presence is (Presence.ABSENT if gone else Presence.OURS)
        assert not gone or await harness.inspect(call.inputs) is None
        if again:
            await apply_and_observe(harness.backend, call)
        assert await harness.backend.remove(call) == Outcome.done()
        assert await harness.inspect(call.inputs) is None


async def test_a_password_that_was_stored_but_not_set_is_set_by_the_next_call(
    harness: PostgresHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = make_call(harness.inputs())
    with monkeypatch.context() as patch:
        crash_at(patch, 3, after=False)
        with pytest.raises(Crash):
            await harness.backend.apply(call)
    stored = harness.credentials(call.inputs)
    await apply_and_observe(harness.backend, call)
    assert harness.credentials(call.inputs) == stored


async def test_role_and_mark_are_created_in_one_transaction(
    harness: PostgresHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = record_changes(monkeypatch)
    call = make_call(harness.inputs())
    await apply_and_observe(harness.backend, call)
    name = call.inputs["name"]
    assert [statement.split(" ")[:2] for statement in sent] == [
        ["CREATE", "ROLE"],
        ["CREATE", "DATABASE"],
        ["REVOKE", "ALL"],
        ["ALTER", "ROLE"],
    ]
    assert f"COMMENT ON ROLE {name} IS" in sent[0]
    assert f"OWNER {name}" in sent[1]


async def test_an_epoch_that_is_over_changes_nothing(harness: PostgresHarness) -> None:
    call = make_call(harness.inputs(), epoch=3)
    await apply_and_observe(harness.backend, call)
    await apply_and_observe(harness.backend, replace(call, epoch=7))
    before = await harness.inspect(call.inputs)
    other, _ = harness.changed_inputs(call.inputs)
    for act in (harness.backend.apply, harness.backend.remove):
        outcome = await act(replace(call, epoch=6, inputs=other))
        assert (outcome.result, outcome.reason) == (Result.NOT_DONE, "fenced")
        assert not outcome.permanent
    assert await harness.inspect(call.inputs) == before


async def test_a_lock_is_held_during_a_change(
    harness: PostgresHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert harness.backend.fencing is Fencing.SESSION_LOCKED
    call = make_call(harness.inputs())
    going, change = asyncio.Event(), Session.execute

    async def slow(session: Session, *changes: Any, **options: Any) -> None:
        if not going.is_set():
            going.set()
            await eventually(waiting, what="the other call's waiting for the lock")
        await change(session, *changes, **options)

    async def waiting() -> bool:
        query = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        return bool(await harness.query(query))

    monkeypatch.setattr(Session, "execute", slow)
    first = asyncio.create_task(harness.backend.apply(call))
    await going.wait()
    second = await harness.backend.apply(replace(call, owner=OTHER_OWNER))
    assert await first == Outcome.done()
    assert is_permanent_refusal(second, "not_ours")
    assert await harness.query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []


async def test_waiting_for_a_lock_ends_before_the_deadline(
    harness: PostgresHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = replace(make_call(harness.inputs()), timeout=1.0)
    going, change = asyncio.Event(), Session.execute

    async def paused(session: Session, *changes: Any, **options: Any) -> None:
        if not going.is_set():
            going.set()
            await asyncio.Event().wait()
        await change(session, *changes, **options)

    monkeypatch.setattr(Session, "execute", paused)
    first = asyncio.create_task(harness.backend.apply(replace(call, timeout=30.0)))
    await going.wait()
    async with asyncio.timeout(call.timeout):
        outcome = await harness.backend.apply(call)
    assert (outcome.result, outcome.reason) == (Result.NOT_DONE, "busy")
    assert not outcome.permanent
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)

    async def done() -> bool:
        return await harness.backend.apply(replace(call, timeout=10.0)) == Outcome.done()

    await eventually(done, within=30, what="an end")


async def test_a_process_that_was_paused_has_lost_its_session(harness: PostgresHarness) -> None:
    """The server closes a session that is idle for longer than the call may take."""
    call = replace(make_call(harness.inputs()), timeout=0.5)
    cluster = await harness.backend._cluster(read_target(call.inputs))
    session = Session(cluster, until=asyncio.get_running_loop().time() + 2.0)
    await session.lock("something")
    session._until += 3600  # the pause: this process does not know how late it is

    async def ended() -> bool:
        return not await harness.query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'")

    await eventually(ended, what="the end of the session")
    with pytest.raises(BackendUnavailable):
        await session.execute(("CREATE ROLE %I", ("zombie",)), doing="wake up")
    session.terminate()
    assert await harness.query("SELECT 1 FROM pg_roles WHERE rolname = 'zombie'") == []


# -- unreachable clusters and refused connections -------------------------------------------------


async def test_a_missing_answer_is_unknown_before_the_deadline(
    harness: PostgresHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough for a loaded machine to reach the statement whose answer is missing.
    call = replace(make_call(harness.inputs()), timeout=4.0)
    execute = asyncpg.Connection.execute

    async def silent(connection: Any, query: str, *rest: Any, **options: Any) -> str:
        answer = await execute(connection, query, *rest, **options)
        if query.startswith("ALTER ROLE"):
            await asyncio.Event().wait()
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(asyncpg.Connection, "execute", silent)
        async with asyncio.timeout(call.timeout):
            outcome = await harness.backend.apply(call)
    assert (outcome.result, outcome.reason) == (Result.UNKNOWN, "answer_lost")
    assert (await harness.backend.observe(call)).as_asked


@pytest.mark.parametrize("number", [1, 3])
async def test_a_server_that_is_killed_during_a_change_leaves_the_outcome_unknown(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A partial change survives, and the next call completes it."""
    with PostgresServer() as server:
        harness = PostgresHarness(server, monkeypatch)
        await harness.begin()
        call = make_call(harness.inputs())
        change, numbers = Session.execute, iter(range(99))

        async def killing(session: Session, *changes: Any, **options: Any) -> None:
            if next(numbers) == number:
                await asyncio.to_thread(server.kill)
            await change(session, *changes, **options)

        with monkeypatch.context() as patch:
            patch.setattr(Session, "execute", killing)
            outcome = await harness.backend.apply(call)
        assert outcome.result is Result.UNKNOWN
        assert outcome.detail
        with pytest.raises(BackendUnavailable):
            await harness.backend.observe(call)
        assert (await harness.backend.apply(call)).reason == "unavailable"
        server.start()
        await apply_and_observe(harness.backend, call)
        await (await asyncpg.connect(harness.credentials(call.inputs))).close()


async def test_a_silent_server_is_unavailable_before_the_deadline() -> None:
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    backend = adapter(
        MemorySecrets({CLUSTER: SecretStr(f"postgresql://a:hush@127.0.0.1:{port}/p")})
    )
    call = replace(make_call({"name": "quiet", "connection_limit": 1}), timeout=0.3)
    async with asyncio.timeout(5):
        with pytest.raises(BackendUnavailable, match="no answer in time"):
            await backend.observe(call)
        for act in (backend.apply, backend.remove):
            outcome = await act(call)
            assert (outcome.result, outcome.reason) == (Result.NOT_DONE, "unavailable")
    for writer in held:
        writer.close()
    server.close()
    await server.wait_closed()


Break = Callable[[str], str]


@pytest.mark.parametrize(
    ("broken", "advice"),
    [
        (lambda url: url.replace(f"{OPERATOR}:", f"{OPERATOR}:hush"), "current password"),
        (lambda url: url.replace("/postgres", "/nowhere"), "database that exists"),
        (lambda _: "hush", "Write postgresql://"),
        (lambda _: "mysql://u:hush@h/d", "Write postgresql://"),
        (lambda _: "postgresql://u:hush@h:99999/d", "Write postgresql://"),
        (lambda _: "postgresql://u:hush@a:1,b:2/d", "Write postgresql://"),
        (lambda _: "postgresql://u:x@hush#y@h:5432/d", "percent-encode"),
        (lambda url: url + "?sslmode=hush", "cannot be used"),
        (lambda url: url + "?sslmode=require&sslrootcert=/hush", "cannot be used"),
    ],
)
async def test_a_cluster_that_refuses_the_connection_is_reported_with_the_remedy(
    harness: PostgresHarness, broken: Break, advice: str
) -> None:
    right = harness.secrets[CLUSTER].get_secret_value()
    harness.secrets[CLUSTER] = SecretStr(broken(right))
    call = make_call(harness.inputs())
    with pytest.raises(BackendUnavailable, match=advice) as raised:
        await harness.backend.observe(call)
    said = [_whole(raised.value)]
    for act in (harness.backend.apply, harness.backend.remove):
        outcome = await act(call)
        assert is_permanent_refusal(outcome, "refused")
        assert advice in outcome.detail
        assert CLUSTER in outcome.detail
        said.append(repr(outcome))
    for text in said:
        assert "hush" not in text
        assert str(urlsplit(right).password) not in text


async def test_a_cluster_that_is_not_configured_is_reported_with_the_remedy(
    harness: PostgresHarness,
) -> None:
    del harness.secrets[CLUSTER]
    outcome = await harness.backend.apply(make_call(harness.inputs()))
    assert is_permanent_refusal(outcome, "refused")
    assert f"there is no {CLUSTER}" in outcome.detail


async def test_a_cluster_whose_url_a_team_stored_is_refused_and_left_alone(
    harness: PostgresHarness,
) -> None:
    harness.secrets.teams[CLUSTER] = "payments"
    call = make_call(harness.inputs())
    for act in (harness.backend.apply, harness.backend.remove):
        outcome = await act(call)
        assert is_permanent_refusal(outcome, "refused")
        assert f"{CLUSTER} belongs to the team payments, not to the platform" in outcome.detail
        assert "without --team" in outcome.detail
    assert await harness.inspect(call.inputs) is None


async def test_an_administrator_without_rights_is_refused_and_leaves_nothing(
    harness: PostgresHarness,
) -> None:
    call = make_call(harness.inputs())
    await harness.run(f"ALTER ROLE {OPERATOR} NOCREATEDB")
    try:
        outcome = await harness.backend.apply(call)
    finally:
        await harness.run(f"ALTER ROLE {OPERATOR} CREATEDB")
    assert is_permanent_refusal(outcome, "refused")
    assert "Give the administrator CREATEDB on this cluster" in outcome.detail
    assert await harness.inspect(call.inputs) is None


async def test_a_missing_secret_store_is_refused_and_leaves_nothing(
    harness: PostgresHarness,
) -> None:
    call = make_call(harness.inputs())
    backend = PostgresDatabaseBackend(Environment(kafka_bootstrap="", secret=harness.secrets.find))
    outcome = await backend.apply(call)
    assert is_permanent_refusal(outcome, "refused")
    assert "secret store" in outcome.detail
    assert await harness.inspect(call.inputs) is None


async def test_two_owners_never_share_anything(harness: PostgresHarness) -> None:
    """Ten races; the loser has changed nothing, and the winner's database works."""
    for _ in range(10):
        inputs = harness.inputs()
        calls = [make_call(inputs, owner=owner) for owner in (OWNER, OTHER_OWNER)]
        outcomes = await asyncio.gather(*(harness.backend.apply(call) for call in calls))
        assert sorted(outcome.result is Result.DONE for outcome in outcomes) == [False, True]
        winner = next(c for c, o in zip(calls, outcomes, strict=True) if o == Outcome.done())
        seen: Observation = await harness.backend.observe(winner)
        assert seen.as_asked
        await (await asyncpg.connect(harness.credentials(inputs))).close()


def _whole(error: BaseException) -> str:
    """Every error of a chain, with its arguments, as a traceback would show it."""
    parts: list[str] = []
    current: BaseException | None = error
    while current is not None:
        parts.append(repr(current))
        hidden = current.__suppress_context__
        current = current.__cause__ if hidden else current.__context__
    return "\n".join(parts)
