"""The set-up that the documentation describes keeps teams out of all databases but their own."""

import asyncio
import re
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from busbar.backends.port import Outcome
from busbar.backends.postgres.check import cluster_problem
from busbar.cli.doctor.clusters import check_clusters
from busbar.runtime.core.settings import Settings
from busbar.runtime.secrets import secrets_of
from busbar.testing import MemorySecrets
from busbar.testing.contract import apply_and_observe, make_call
from support.postgres import PostgresServer, running_postgres
from support.postgres_databases import CLUSTER, PostgresHarness, adapter

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "offer-postgres-databases.md"
PASSWORD = "documented"  # noqa: S105 - of a cluster that is removed again

pytestmark = pytest.mark.timeout(120)


def documented() -> str:
    """The SQL of the page, with a password."""
    (block,) = re.findall(r"```sql[^\n]*\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert "'…'" in block
    return str(block).replace("'…'", f"'{PASSWORD}'")


async def test_the_documented_set_up_closes_all_databases_to_teams(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with running_postgres() as server:
        harness = PostgresHarness(server, monkeypatch)
        await harness.run(documented())
        url = server.url(user="busbar_databases", password=PASSWORD)
        assert await cluster_problem(CLUSTER, SecretStr(url)) is None
        harness.secrets[CLUSTER] = SecretStr(url)
        call = make_call(harness.inputs())
        await apply_and_observe(harness.backend, call)
        others = "SELECT datname FROM pg_database WHERE datallowconn AND datname <> $1"
        databases = [name for (name,) in await harness.query(others, call.inputs["name"])]
        assert set(databases) == {"postgres", "template1"}
        for name in databases:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await asyncpg.connect(harness.credentials(call.inputs), database=name)
        assert await harness.backend.remove(call) == Outcome.done()
        assert await harness.inspect(call.inputs) is None


async def test_a_cluster_that_is_open_to_teams_is_reported(
    postgres: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = SecretStr(postgres.url())
    problem = await cluster_problem(CLUSTER, url)
    assert problem is not None
    detail, fix = problem
    assert "postgres, template1" in detail
    assert '"postgres", "template1" FROM PUBLIC' in fix
    backend = adapter(MemorySecrets({CLUSTER: url}))
    call = make_call({"name": "looked_at", "connection_limit": 1})
    for _ in range(2):
        await apply_and_observe(backend, call)
    assert await backend.remove(call) == Outcome.done()
    assert "".join(capsys.readouterr()).count("databases_open_to_teams") == 1


def test_doctor_warns_of_a_cluster_that_is_open_or_cannot_be_used(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    settings = Settings(_env_file=None, home=tmp_path / "home", database_url=None)
    assert list(check_clusters(settings)) == []
    assert not settings.home.exists()

    async def store(url: str) -> None:
        async with secrets_of(settings) as secrets:
            await secrets.put(CLUSTER, SecretStr(url))

    asyncio.run(store(postgres.url()))
    (result,) = check_clusters(settings)
    assert (result.ok, result.needed) == (False, False)
    assert "template1" in result.detail
    assert "REVOKE CONNECT" in result.fix
    asyncio.run(store(postgres.url(user="zqwrongqz", password=PASSWORD)))
    (result,) = check_clusters(settings)
    assert "password authentication failed" in result.detail
    assert "zq" not in result.detail
