"""The set-up that the documentation describes keeps teams out of all databases but their own."""

import re
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from busbar.backends.port import Outcome
from busbar.testing.contract import apply_and_observe, make_call
from support.postgres import running_postgres
from support.postgres_databases import CLUSTER, PostgresHarness

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "offer-postgres-databases.md"
PASSWORD = "documented"  # noqa: S105 - of a cluster that is gone in a moment

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
