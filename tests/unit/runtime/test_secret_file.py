"""The file of secrets: its mode, and several processes that use it concurrently."""

import asyncio
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from busbar.kernel.errors import ConfigurationError
from busbar.runtime.secrets import secrets_of
from busbar.runtime.store import StoreUnavailable
from support.secrets import InSqlite

WRITER = """
import asyncio, sys
from pathlib import Path
from pydantic import SecretStr
from busbar.runtime.secrets import secrets_of
from busbar.runtime.core.settings import Settings

async def main(home, name):
    settings = Settings(_env_file=None, home=Path(home), database_url=None)
    async with secrets_of(settings) as store:
        for turn in range(20):
            await store.put(f"secret:{name}", SecretStr(f"{name}-{turn}"))
            assert (await store.get(f"secret:{name}")).get_secret_value() == f"{name}-{turn}"

asyncio.run(main(*sys.argv[1:]))
"""


async def test_everything_that_is_made_is_its_owners(tmp_path: Path) -> None:
    place = InSqlite(tmp_path / "home")
    async with secrets_of(place.settings) as store:
        await store.put("secret:a", SecretStr("x"))
        files = list(place.settings.home.iterdir())
        assert {"secrets.db", "secrets.db-wal", "data.key"} <= {file.name for file in files}
        assert {oct(file.stat().st_mode & 0o777) for file in files} == {"0o600"}
    assert oct(place.settings.home.stat().st_mode & 0o777) == "0o700"


async def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    place = InSqlite(tmp_path / "home")
    async with place.store():
        place.file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        await place.store().connect()


async def test_processes_that_start_concurrently_agree_on_file_and_key(tmp_path: Path) -> None:
    home = tmp_path / "home"
    writers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, str(home), f"w{number}", stderr=asyncio.subprocess.PIPE
        )
        for number in range(4)
    ]
    for writer in writers:
        _, errors = await writer.communicate()
        assert writer.returncode == 0, errors.decode()
    async with secrets_of(InSqlite(home).settings) as store:
        found = [await store.get(f"secret:w{number}") for number in range(4)]
    assert found == [SecretStr(f"w{number}-19") for number in range(4)]


async def test_a_damaged_file_is_an_unavailable_store(tmp_path: Path) -> None:
    place = InSqlite(tmp_path / "home")
    async with place.store() as store:
        await store.put("secret:a", SecretStr("x"))
        await place.run("DROP TABLE secrets")
        with pytest.raises(StoreUnavailable, match="database file is unavailable"):
            await store.get("secret:a")
