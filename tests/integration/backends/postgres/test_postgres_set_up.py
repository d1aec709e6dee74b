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
from busbar.runtime.core.assets import asset
from busbar.runtime.core.settings import Settings
from busbar.runtime.secrets import SecretKind, secrets_of
from busbar.testing import MemorySecrets
from busbar.testing.contract import apply_and_observe, make_call
from support.postgres import PostgresServer, free_port, running_postgres
from support.postgres_databases import CLUSTER, PostgresHarness, adapter

PAGE = Path(__file__).parents[4] / "docs" / "how-to" / "offer-postgres-databases.md"
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
    assert "postgres, template1" in problem.detail
    assert '"postgres", "template1" FROM PUBLIC' in problem.fix
    assert problem.works
    backend = adapter(MemorySecrets({CLUSTER: url}))
    call = make_call({"name": "looked_at", "connection_limit": 1})
    for _ in range(2):
        await apply_and_observe(backend, call)
    assert await backend.remove(call) == Outcome.done()
    assert "".join(capsys.readouterr()).count("databases_open_to_teams") == 1


def test_doctor_warns_of_an_open_cluster_and_fails_if_it_cannot_be_used(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    settings = Settings(_env_file=None, home=tmp_path / "home", database_url=None)
    (missing,) = check_clusters(settings)
    assert (missing.ok, missing.needed) == (False, False)
    assert "postgres-database" in missing.detail
    assert "busbar secrets put postgres-cluster" in missing.fix
    assert not settings.home.exists()

    async def store(url: str) -> None:
        async with secrets_of(settings) as secrets:
            await secrets.put(CLUSTER, SecretStr(url))

    asyncio.run(store_another(settings))
    again, _ = check_clusters(settings)
    assert again == missing
    asyncio.run(store(postgres.url()))
    result, another = check_clusters(settings)
    assert (another.ok, another.needed) == (False, True)
    assert "secrets put another" in another.fix
    assert (result.ok, result.needed) == (False, False)
    assert "template1" in result.detail
    assert "REVOKE CONNECT" in result.fix
    asyncio.run(store(postgres.url(user="zqwrongqz", password=PASSWORD)))
    result, _ = check_clusters(settings)
    assert (result.ok, result.needed) == (False, True)
    assert "password authentication failed" in result.detail
    assert "busbar secrets put postgres-cluster" in result.fix
    assert "zq" not in result.detail


async def store_another(settings: Settings) -> None:
    """A second cluster, which does not answer."""
    url = SecretStr(f"postgresql://a:b@127.0.0.1:{free_port()}/postgres")
    async with secrets_of(settings) as secrets:
        await secrets.put("secret:another", url, kind=SecretKind.POSTGRES_URL)


def test_doctor_names_a_cluster_whose_url_a_team_owns(tmp_path: Path) -> None:
    promises = tmp_path / "promises"
    promises.mkdir()
    text = (asset("contracts/promises") / "postgres-database.yaml").read_text(encoding="utf-8")
    changed = text.replace(
        "        inputs:\n", '        inputs:\n          cluster: "secret:mine"\n'
    )
    (promises / "p.yaml").write_text(changed, encoding="utf-8")
    settings = Settings(
        _env_file=None, home=tmp_path / "home", database_url=None, promises=(promises,)
    )

    async def store() -> None:
        url = SecretStr("postgresql://a:b@127.0.0.1:1/postgres")
        async with secrets_of(settings) as secrets:
            await secrets.put("secret:mine", url, team="payments", kind=SecretKind.POSTGRES_URL)

    asyncio.run(store())
    (result,) = check_clusters(settings)
    assert (result.ok, result.needed) == (False, True)
    assert "secret:mine" in result.name
    assert "belongs to the team payments" in result.detail
    assert "busbar secrets remove mine" in result.fix
