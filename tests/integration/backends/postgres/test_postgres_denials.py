"""Denials to an administrator who has CREATEDB and CREATEROLE, with their remedies."""

import secrets

import asyncpg
import pytest

from busbar.backends.port import Call, Outcome, Result
from busbar.testing.contract import apply_and_observe, is_permanent_refusal, make_call
from support.postgres_databases import OPERATOR, PostgresHarness

pytestmark = pytest.mark.timeout(60)

HAS_THEM = "Give the administrator"


async def made(harness: PostgresHarness) -> tuple[Call, str]:
    """A database and its name."""
    call = make_call(harness.inputs())
    await apply_and_observe(harness.backend, call)
    return call, call.inputs["name"]


async def gone(harness: PostgresHarness, call: Call) -> None:
    assert await harness.backend.remove(call) == Outcome.done()
    assert await harness.inspect(call.inputs) is None


async def test_sessions_of_a_superuser_keep_a_database_until_they_end(
    harness: PostgresHarness,
) -> None:
    call, name = await made(harness)
    session = await asyncpg.connect(harness.server.url(name))
    try:
        outcome = await harness.backend.remove(call)
        who = await session.fetchval("SELECT current_user")
    finally:
        await session.close()
    assert (outcome.result, outcome.reason, outcome.permanent) == (Result.NOT_DONE, "busy", False)
    assert (
        f"may not end, of {who}. End them (pg_stat_activity lists them); busbar" in outcome.detail
    )
    assert HAS_THEM not in outcome.detail
    await gone(harness, call)


async def test_sessions_of_another_role_may_be_ended_with_a_privilege(
    harness: PostgresHarness,
) -> None:
    call, name = await made(harness)
    secret = secrets.token_urlsafe(8)
    await harness.run(
        f"CREATE ROLE watcher LOGIN PASSWORD '{secret}'",
        f"GRANT CONNECT ON DATABASE {name} TO watcher",
    )
    try:
        url = harness.server.url(name, user="watcher", password=secret)
        session = await asyncpg.connect(url)
        outcome = await harness.backend.remove(call)
        assert outcome.reason == "busy"
        assert "of watcher." in outcome.detail
        assert "grant pg_signal_backend" in outcome.detail
        await harness.run(f"GRANT pg_signal_backend TO {OPERATOR}")
        await gone(harness, call)
        session.terminate()
    finally:
        await harness.run(f"REVOKE pg_signal_backend FROM {OPERATOR}", "DROP ROLE watcher")


@pytest.mark.parametrize("attribute", ["SUPERUSER", "REPLICATION"])
async def test_a_role_that_only_a_superuser_may_change_is_named_with_the_attribute(
    harness: PostgresHarness, attribute: str
) -> None:
    call, name = await made(harness)
    await harness.run(f"ALTER ROLE {name} {attribute}")
    outcome = await harness.backend.remove(call)
    assert is_permanent_refusal(outcome, "refused")
    assert f"ALTER ROLE {name} NO{attribute}" in outcome.detail
    assert HAS_THEM not in outcome.detail
    await harness.run(f"ALTER ROLE {name} NO{attribute}")
    await gone(harness, call)


@pytest.mark.parametrize("attribute", ["CREATEDB", "CREATEROLE"])
async def test_only_the_privilege_that_the_administrator_lacks_is_named(
    harness: PostgresHarness, attribute: str
) -> None:
    call = make_call(harness.inputs())
    await harness.run(f"ALTER ROLE {OPERATOR} NO{attribute}")
    try:
        outcome = await harness.backend.apply(call)
    finally:
        await harness.run(f"ALTER ROLE {OPERATOR} {attribute}")
    assert is_permanent_refusal(outcome, "refused")
    assert f"{HAS_THEM} {attribute} on this cluster." in outcome.detail
