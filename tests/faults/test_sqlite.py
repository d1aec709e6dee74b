"""SQLite in the simulation: what a reset of a connection does to its transaction."""

import random
import sqlite3
from pathlib import Path

import aiosqlite
import pytest

from faults.sqlite import reset_connections, without_threads


async def test_a_connection_that_was_reset_commits_nothing_until_it_is_rolled_back(
    tmp_path: Path,
) -> None:
    with without_threads():
        connection = await aiosqlite.connect(tmp_path / "x.db", isolation_level=None)
        await connection.execute("CREATE TABLE one (x)")
        await connection.execute("BEGIN IMMEDIATE")
        cursor = await connection.execute("INSERT INTO one VALUES (1)")
        reset_connections(random.Random(0))
        await cursor.close()
        with pytest.raises(sqlite3.OperationalError, match="the connection was reset"):
            await connection.commit()
        await connection.rollback()
        rows = await (await connection.execute("SELECT x FROM one")).fetchall()
        await connection.close()
    assert list(rows) == []
