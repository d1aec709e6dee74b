"""No part of the administrator's URL is in an answer, a log or the chain of an error."""

from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from busbar.backends.port import BackendUnavailable
from busbar.backends.postgres.isolation import store_server_at
from busbar.testing.contract import apply_and_observe, make_call
from support.postgres import PostgresServer, free_port
from support.postgres_databases import CLUSTER, PostgresHarness

pytestmark = pytest.mark.timeout(60)

USER, PASSWORD = "zquserqz", "zqpasswordqz"


@pytest.fixture
async def harness(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[PostgresHarness]:
    """An administrator whose name and password are in no other text."""
    harness = PostgresHarness(postgres, monkeypatch)
    await harness.run(
        f"CREATE ROLE {USER} LOGIN CREATEDB CREATEROLE PASSWORD '{PASSWORD}'",
    )
    harness.secrets[CLUSTER] = SecretStr(postgres.url(user=USER, password=PASSWORD))
    yield harness
    await harness.end()
    await harness.run(f"DROP ROLE {USER}")


async def everything_said(harness: PostgresHarness, url: str) -> str:
    """The answers to all calls with ``url``, and everything behind their errors."""
    harness.secrets[CLUSTER] = SecretStr(url)
    call = make_call(harness.inputs())
    said: list[str] = []
    try:
        said.append(repr(await harness.backend.observe(call)))
    except BackendUnavailable as error:
        current: BaseException | None = error
        while current is not None:
            said.append(repr(current))
            current = current.__cause__ or current.__context__
    said += [repr(await act(call)) for act in (harness.backend.apply, harness.backend.remove)]
    try:
        await store_server_at(SecretStr(url))
    except ConnectionError as error:
        said += [repr(error), repr(error.__cause__), repr(error.__context__)]
    return "\n".join(said)


WRONG: dict[str, Callable[[str], str]] = {
    "user": lambda url: url.replace(USER, "zqotheruserqz"),
    "password": lambda url: url.replace(PASSWORD, "zqotherpasswordqz"),
    "database": lambda url: url.replace("/postgres", "/zqdatabaseqz"),
    "host": lambda url: url.replace("127.0.0.1", "zqhostqz.invalid"),
    "port": lambda url: url.replace(f":{urlsplit(url).port}", f":{free_port()}"),
    "tls": lambda url: url + "?sslmode=require",
    "options": lambda url: url + "?sslmode=zqmodeqz",
    "files": lambda url: url + "?sslmode=verify-ca&sslrootcert=/zqfileqz",
    "setting": lambda url: url + "?zqsettingqz=zqvalueqz",
    "encoding": lambda url: url.replace(PASSWORD, "zqone@zqtwo#zqthree"),
    "encoded zero": lambda url: url.replace(PASSWORD, "zqone%00zqtwo"),
    "port text": lambda url: url.replace(f":{urlsplit(url).port}", ":zqportqz"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
async def test_a_url_that_cannot_be_used_is_not_quoted(
    harness: PostgresHarness,
    wrong: Callable[[str], str],
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = wrong(harness.secrets[CLUSTER].get_secret_value())
    said = await everything_said(harness, url)
    said += caplog.text + "".join(capsys.readouterr())
    assert "zq" not in said
    assert f":{url.rpartition(':')[2].partition('/')[0]}" not in said
    assert CLUSTER in said


async def test_a_refusal_of_the_server_does_not_name_the_administrator(
    harness: PostgresHarness,
) -> None:
    call = make_call(harness.inputs())
    seen = await apply_and_observe(harness.backend, call)
    name = call.inputs["name"]
    await harness.run(
        f"CREATE TABLE lent (id int); GRANT SELECT ON lent TO {name}",
        f"ALTER ROLE {USER} NOCREATEROLE NOCREATEDB",
    )
    try:
        said = repr(seen) + await everything_said(
            harness, harness.secrets[CLUSTER].get_secret_value()
        )
        said += repr(await harness.backend.remove(call))
        await harness.run(f"ALTER ROLE {USER} CREATEROLE")
        refused = await harness.backend.remove(call)
    finally:
        await harness.run(f"ALTER ROLE {USER} CREATEROLE CREATEDB", "DROP TABLE lent")
    assert "table public.lent" in refused.detail
    assert "zq" not in said + repr(refused)
