"""The PostgreSQL that tests run on: it starts, survives being killed, and leaves nothing."""

from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from busbar.kernel.errors import ConfigurationError
from faults.fire.outside import databases_made
from support import postgres as support
from support.postgres import HOST, PostgresServer, running_postgres

pytestmark = pytest.mark.timeout(90)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as running:
        yield running


async def run(server: PostgresServer, *statements: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(server.url())
    try:
        found = []
        for statement in statements:
            found = await connection.fetch(statement)
        return found
    finally:
        await connection.close()


async def test_it_answers_and_is_durable_by_default(server: PostgresServer) -> None:
    assert (await run(server, "SHOW fsync"))[0][0] == "on"


async def test_only_databases_that_were_made_are_counted_by_its_log() -> None:
    with running_postgres(log_min_duration_statement="0") as server:
        await run(server, "CREATE DATABASE made")
        with pytest.raises(asyncpg.QueryCanceledError):
            await run(server, "SET statement_timeout = 1", "CREATE DATABASE interrupted")
        log = server.log.read_text(encoding="utf-8")
    assert "CREATE DATABASE interrupted" in log
    assert databases_made(log) == {"database made": 1}


async def test_it_listens_on_loopback_only(server: PostgresServer) -> None:
    listening = [
        one.laddr.ip
        for one in psutil.Process(server.pid).net_connections()
        if one.status == psutil.CONN_LISTEN
    ]
    assert listening == [HOST]
    assert (await run(server, "SHOW unix_socket_directories"))[0][0] == ""


async def test_it_does_not_run_as_root_and_requires_the_password(
    server: PostgresServer,
) -> None:
    assert psutil.Process(server.pid).uids().effective != 0
    assert (await run(server, "SHOW password_encryption"))[0][0] == "scram-sha-256"
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(server.url(), password="guessed")  # noqa: S106 - wrong on purpose
    assert [one["type"] for one in await run(server, "SELECT type FROM pg_hba_file_rules")]
    methods = await run(server, "SELECT DISTINCT auth_method FROM pg_hba_file_rules")
    assert [one[0] for one in methods] == ["scram-sha-256"]


@pytest.mark.parametrize("way", ["kill", "immediate", "orderly"])
async def test_what_was_committed_survives(server: PostgresServer, way: str) -> None:
    await run(server, f"CREATE TABLE {way} AS SELECT 7 AS n")
    before, port = server.pid, server.port
    if way == "kill":
        server.kill()
    else:
        server.stop(immediate=way == "immediate")
    assert not psutil.pid_exists(before)
    with pytest.raises(OSError, match=r"[Cc]onnect"):
        await asyncpg.connect(server.url(), timeout=5)
    server.start()
    assert (server.port, server.pid != before) == (port, True)
    assert (await run(server, f"TABLE {way}"))[0][0] == 7


async def test_nothing_is_left(server: PostgresServer) -> None:
    with PostgresServer(fsync=False) as other:
        await run(other, "SELECT 1")
        family = [psutil.Process(other.pid), *psutil.Process(other.pid).children()]
        folder = other.folder
        assert len(family) > 2
    assert not any(one.is_running() for one in family)
    assert not folder.exists()
    assert psutil.pid_exists(server.pid)


def test_a_missing_postgresql_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(support, "Path", lambda *_: tmp_path)
    with pytest.raises(ConfigurationError, match="apt-get install postgresql"):
        PostgresServer()


def test_a_port_that_is_taken_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with PostgresServer(fsync=False) as first:
        ports = iter([first.port, support.free_port()])
        monkeypatch.setattr(support, "free_port", lambda: next(ports))
        with PostgresServer(fsync=False) as second:
            assert second.port != first.port
