"""The table of secrets in a server: who may change it, who may read it, and its migration."""

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import Table

from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.settings import Settings
from busbar.runtime.secrets import migrations, secrets_of
from busbar.runtime.secrets.tables import metadata
from support.postgres_store import SERVICE, StoreCluster
from support.secrets import SecretPlace


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE secrets",
        "DROP TABLE secrets",
        "ALTER TABLE secrets ADD mine text",
        "CREATE TABLE mine (id int)",
        "UPDATE schema_version SET version_num = 'x'",
        "DELETE FROM subjects",
    ],
)
async def test_services_change_rows_of_secrets_and_nothing_else(
    cluster: StoreCluster, statement: str
) -> None:
    async with cluster.session(service="secrets") as service:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute(statement)


async def test_no_other_role_of_the_cluster_reads_secrets(cluster: StoreCluster) -> None:
    async with cluster.session(cluster.server.url("busbar")) as admin:
        await admin.execute("DROP ROLE IF EXISTS outsider; CREATE ROLE outsider")
        await admin.execute("SET ROLE outsider")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await admin.fetch("SELECT * FROM busbar_secrets.secrets")


@pytest.mark.parametrize("table", metadata.tables.values(), ids=metadata.tables)
async def test_the_migrated_table_has_the_columns_that_are_used(
    cluster: StoreCluster, table: Table
) -> None:
    async with cluster.session(service="secrets") as service:
        rows = await service.fetch(
            "SELECT column_name, is_nullable FROM information_schema.columns"
            " WHERE table_schema = 'busbar_secrets' AND table_name = $1",
            table.name,
        )
    found = {(row["column_name"], row["is_nullable"] == "YES") for row in rows}
    assert found == {(column.name, bool(column.nullable)) for column in table.columns}


async def test_migrating_again_changes_nothing(cluster: StoreCluster) -> None:
    assert await cluster.migrate_secrets() == {"secrets": migrations.REVISIONS[-1]}


async def test_a_database_without_the_schema_says_to_migrate(
    cluster: StoreCluster, place: SecretPlace
) -> None:
    async with cluster.session(cluster.server.url("postgres")) as admin:
        await admin.execute(f"GRANT CONNECT ON DATABASE postgres TO {SERVICE}")
    url = cluster.url.removesuffix("busbar") + "postgres"
    settings = Settings(_env_file=None, home=place.settings.home, database_url=SecretStr(url))
    with pytest.raises(ConfigurationError, match="busbar migrate"):
        await secrets_of(settings).connect()
