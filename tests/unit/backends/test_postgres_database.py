"""Names, marks, verifiers and errors of the PostgreSQL databases adapter, without a server."""

import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from busbar.backends.calls import InvalidInputs, Refused
from busbar.backends.port import Result
from busbar.backends.postgres.errors import connection_problem, is_disconnect, refusal_of
from busbar.backends.postgres.inputs import (
    EXTENSIONS,
    MAX_NAME_LENGTH,
    database_name,
    read_inputs,
    read_target,
)
from busbar.backends.postgres.mark import Mark, fingerprint_of, is_mark, owner_digest, read_mark
from busbar.backends.postgres.scram import verifier
from busbar.backends.postgres.session import read_cluster
from busbar.kernel.errors import ConfigurationError
from busbar.kernel.expressions import resolve
from busbar.kernel.resource import SLUG
from busbar.policy.adapters import load_promises
from busbar.testing import make_environment

slugs = st.from_regex(SLUG, fullmatch=True)
resources = st.lists(slugs, min_size=1, max_size=4)
LIMIT = {"connection_limit": 3}


# -- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (["payments", "dev", "orders"], "payments__dev__orders"),
        (["team-a", "b"], "team_a__b"),
        (["3d", "x"], "3d__x"),
    ],
)
def test_names_are_readable(parts: list[str], name: str) -> None:
    assert database_name(parts) == name


@given(resources)
@example(["postgres"])
@example(["pg-team", "dev", "x"])
@example(["busbar"])
@example(["a" * 63, "b" * 63, "c" * 63])
@example(["a--b"])
def test_every_resource_has_a_legal_name_and_reference(parts: list[str]) -> None:
    target = read_target({"name_parts": parts})
    assert target.database == target.role == database_name(parts)
    assert len(target.database.encode()) <= MAX_NAME_LENGTH
    # The same rules as for a name that is given.
    assert read_target({"name": target.database}).database == target.database
    # A reference that SecretStore takes.
    name = target.reference.removeprefix("secret:")
    assert 1 <= len(name) <= 63
    assert name.startswith("database-")
    assert not name.endswith("-")


@given(resources, resources)
@example(["a-b", "c"], ["a", "b-c"])
@example(["a--b"], ["a", "b"])
@example(["a", "b"], ["a--b"])
@example(["a" * 63, "b" * 63], ["a" * 63, "b" * 62])
@example(["pg-x"], ["db-pg-x"])
def test_different_resources_have_different_names_and_references(
    one: list[str], other: list[str]
) -> None:
    same = one == other
    assert (database_name(one) == database_name(other)) is same
    references = {read_target({"name_parts": parts}).reference for parts in (one, other)}
    assert (len(references) == 1) is same


def test_the_same_name_in_another_cluster_has_credentials_of_its_own() -> None:
    here, there = (
        read_target({"name": "orders", "cluster": f"secret:{name}"}).reference
        for name in ("postgres-cluster", "another-cluster")
    )
    assert here == "secret:database-orders"
    assert there.startswith("secret:database-orders---")


NAME = "a_" * 40


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ({}, "name"),
        ({"name": "a", "name_parts": ["b"]}, "name"),
        ({"name_parts": []}, "name_parts"),
        ({"name_parts": ["a_b"]}, "name_parts"),
        *(({"name": name}, "name") for name in ("", "A", "a b", 'a"b', "a-b", "_a", NAME, "é", 7)),
        *(({"name": name}, "name") for name in ("postgres", "template0", "pg_x", "busbar_x")),
        ({"name": "a", "owner": "public"}, "owner"),
        ({"name": "a", "cluster": "postgresql://u:hush@h/d"}, "cluster"),
        ({"name": "a", "credentials": "secret:postgres-cluster"}, "credentials"),
        ({"name": "a", "credentials": "hush"}, "credentials"),
        ({"name": "a", "connection_limit": 0}, "connection_limit"),
        ({"name": "a", "connection_limit": "5"}, "connection_limit"),
        ({"name": "a", "extensions": ["adminpack"]}, "extensions"),
        ({"name": "a", "surprise": 1}, "surprise"),
    ],
)
def test_inputs_that_no_cluster_could_meet_are_named(inputs: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputs) as raised:
        read_inputs({**LIMIT, **inputs})
    assert raised.value.fields == (field,)
    assert "Correct the inputs" in str(raised.value)
    assert "hush" not in str(raised.value)
    assert "hush" not in repr(raised.value.__cause__)


# -- the promise ----------------------------------------------------------------------------------


def test_the_promise_and_the_adapter_agree_on_inputs() -> None:
    promises = Path(__file__).parents[3] / "contracts" / "promises"
    version = load_promises([promises]).offered["postgres-database"].newest
    offered = yaml.safe_load((promises / "postgres-database.yaml").read_text(encoding="utf-8"))
    extensions = offered["versions"]["v1"]["spec"]["properties"]["extensions"]["items"]["enum"]
    assert set(extensions) == EXTENSIONS
    for spec in ({}, {"connection_limit": 200, "extensions": extensions}):
        assert version.violations(version.with_defaults(spec)) == ()
        scope = {
            "resource": {"team": "team-a", "environment": "dev", "name": "orders"},
            "spec": version.with_defaults(spec),
        }
        (step,) = version.plan.steps
        inputs = read_inputs(resolve(step.inputs, scope))
        assert inputs.database == "team_a__dev__orders"
    assert version.violations(version.with_defaults({"extensions": ["adminpack"]}))


# -- marks ----------------------------------------------------------------------------------------

marks = st.builds(
    Mark,
    owner=st.text().map(owner_digest),
    database=st.text(),
    epoch=st.integers(0, 2**63),
    credentials=st.text(),
    fingerprint=st.none() | st.text().map(fingerprint_of),
    extensions=st.lists(st.text()),
)


@given(marks)
def test_a_mark_is_read_as_it_was_written(mark: Mark) -> None:
    assert read_mark(mark.text()) == mark
    assert is_mark(mark.text())


@given(st.text())
@example("busbar:v1:{}")
@example("busbar:v1:[]")
@example("busbar:v1:")
def test_a_comment_of_a_person_is_not_a_mark_of_ours(comment: str) -> None:
    assert read_mark(comment) is None
    assert read_mark(f"busbar:v2:{comment}") is None
    assert is_mark(f"busbar:v2:{comment}")


# -- verifiers ------------------------------------------------------------------------------------


def test_the_verifier_matches_the_example_in_rfc_7677() -> None:
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    kind, numbers, keys = verifier("pencil", salt=salt).split("$")
    assert (kind, numbers) == ("SCRAM-SHA-256", "4096:W22ZaJ0SNY7soEsUEjb6gQ==")
    stored, server = (base64.b64decode(key) for key in keys.split(":"))
    said = (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO,"
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    signature = hmac.digest(server, said, "sha256")
    assert base64.b64encode(signature) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    mask = hmac.digest(stored, said, "sha256")
    client = bytes(one ^ other for one, other in zip(proof, mask, strict=True))
    assert hashlib.sha256(client).digest() == stored


# -- errors ---------------------------------------------------------------------------------------


def postgres_error(code: str) -> asyncpg.PostgresError:
    """As the server sends it (protocol message ErrorResponse)."""
    error = asyncpg.PostgresError.new({"C": code, "M": "it is so"})
    assert isinstance(error, asyncpg.PostgresError)
    return error


@pytest.mark.parametrize(
    ("code", "reason", "permanent"),
    [
        ("42501", "refused", True),
        ("2BP01", "refused", True),
        ("22023", "refused", True),
        ("53100", "refused", False),
        ("XX000", "refused", False),
        ("55006", "busy", False),
        ("55P03", "busy", False),
    ],
)
def test_a_refusal_is_permanent_if_a_retry_cannot_help(
    code: str, reason: str, *, permanent: bool
) -> None:
    outcome = refusal_of(postgres_error(code), doing="do it", hidden="admin").outcome
    assert (outcome.result, outcome.reason) == (Result.NOT_DONE, reason)
    assert outcome.permanent is permanent
    assert "it is so" in outcome.detail


@pytest.mark.parametrize("code", ["57014", "57P01", "57P05", "08006", "08003"])
def test_a_session_that_was_ended_from_outside_has_no_answer(code: str) -> None:
    assert is_disconnect(postgres_error(code))


@pytest.mark.parametrize("error", [TimeoutError(), OSError("x"), asyncpg.InterfaceError("gone")])
def test_a_connection_that_ended_has_no_answer(error: Exception) -> None:
    assert is_disconnect(error)
    assert connection_problem(error)


@given(st.text())
@example("postgresql://u:hush@h:x/d")
@example("postgresql://u:hush@[h/d")
@example("postgresql://:hush@h/d")
def test_no_url_is_ever_quoted(url: str) -> None:
    try:
        said = repr(read_cluster("secret:postgres-cluster", SecretStr(url)))
    except Refused as error:
        said = error.detail
    assert "hush" not in said
    assert "secret:postgres-cluster" in said


async def test_an_environment_without_a_secret_store_says_so() -> None:
    bare = make_environment()
    with pytest.raises(ConfigurationError, match="secret:x") as raised:
        await bare.store_secret("secret:x", SecretStr("hush"), None)
    assert "hush" not in str(raised.value)
    with pytest.raises(ConfigurationError, match="secret:x"):
        await bare.remove_secret("secret:x")
