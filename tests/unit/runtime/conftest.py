"""Fixtures of the runtime's tests, on SQLite."""

from pathlib import Path

import pytest

from support.databases import Database, Sqlite
from support.fixtures import clock, looking, place, plain_logs, publisher, relay, store, toy

__all__ = ["clock", "looking", "place", "plain_logs", "publisher", "relay", "store", "toy"]


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Sqlite(tmp_path)
