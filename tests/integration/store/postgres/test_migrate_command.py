"""`busbar migrate`: the schema of every service, and its errors where something is missing."""

import asyncio

import pytest
from typer.testing import CliRunner

from busbar.cli.app import app
from busbar.messages.topics import SERVICES
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.secrets import migrations as secret_migrations
from busbar.runtime.store import open_store
from busbar.runtime.store.schema import migrations
from support.postgres_store import StoreCluster


def test_it_makes_what_every_service_needs(
    cluster: StoreCluster, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("BUSBAR_DATABASE_OWNER_URL", cluster.owner_url)
    monkeypatch.setenv("BUSBAR_DATABASE_URL", cluster.url)
    done = CliRunner().invoke(app, ["migrate"])
    assert done.exit_code == 0, done.output
    said = done.output.splitlines()
    expected = dict.fromkeys(SERVICES, migrations.REVISIONS[-1])
    expected["secrets"] = secret_migrations.REVISIONS[-1]
    assert said == [f"{service}: {revision}" for service, revision in expected.items()]
    folder = tmp_path_factory.mktemp("no-file")

    async def look() -> None:
        for service in SERVICES:
            store = await open_store(
                folder / f"{service}.db",
                service=service,
                clock=SystemClock(),
                database_url=cluster.url,
            )
            assert await store.problem() is None
            await store.close()

    asyncio.run(look())
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("missing", ["BUSBAR_DATABASE_OWNER_URL", "BUSBAR_DATABASE_URL"])
def test_it_says_which_two_roles_it_takes(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BUSBAR_DATABASE_OWNER_URL", "BUSBAR_DATABASE_URL"):
        monkeypatch.setenv(name, "postgresql://someone:secret@127.0.0.1:1/busbar")
    monkeypatch.delenv(missing)
    done = CliRunner().invoke(app, ["migrate"])
    assert done.exit_code != 0
    assert "BUSBAR_DATABASE_OWNER_URL and BUSBAR_DATABASE_URL" in " ".join(done.output.split())
    assert "secret" not in done.output


@pytest.mark.parametrize("url", ["//zqroleqz:zqpasswordqz@", "//[zqroleqz:zqpasswordqz@", "//"])
def test_a_role_that_does_not_exist_is_refused_and_not_shown(
    cluster: StoreCluster, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("BUSBAR_DATABASE_OWNER_URL", cluster.owner_url)
    address = cluster.url.partition("@")[2]
    monkeypatch.setenv("BUSBAR_DATABASE_URL", f"postgresql:{url}{address}")
    done = CliRunner().invoke(app, ["--debug", "migrate"])
    assert done.exit_code == 9, done.output
    assert "BUSBAR_DATABASE_URL" in done.output
    assert "zq" not in done.output
