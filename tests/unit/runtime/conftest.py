"""Fixtures of the runtime's tests, on SQLite."""

from pathlib import Path

import pytest

from support.databases import Database, Sqlite
from support.fixtures import clock, plain_logs, publisher, store, toy

__all__ = ["clock", "plain_logs", "publisher", "store", "toy"]


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Sqlite(tmp_path)
