"""Secret stores for tests, and changes to them from outside."""

import base64
import sqlite3
from abc import ABC, abstractmethod
from contextlib import closing
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from busbar.kernel.clock import Clock
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.core.settings import Settings
from busbar.runtime.secrets import SecretStore, secrets_of
from busbar.runtime.secrets.open import subject_keys_of
from busbar.runtime.secrets.subjects import SubjectKeys
from busbar.testing import ManualClock
from support.postgres_store import StoreCluster
from support.runtime import (
    KEY,
)

OTHER_KEY = bytes(range(1, 33))


def text_of(key: bytes) -> str:
    """A data key as settings take it."""
    return base64.b64encode(key).decode()


class SecretPlace(ABC):
    """A table of secrets, opened with any key."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def store(self, key: bytes = KEY) -> SecretStore:
        """To be opened by ``async with``."""
        return secrets_of(self.settings, cipher=Cipher(key), clock=ManualClock())

    def subject_keys(self, clock: Clock, key: bytes = KEY) -> SubjectKeys:
        """The keys of personal data beside it, to be closed."""
        return subject_keys_of(self.settings, cipher=Cipher(key), clock=clock)

    @abstractmethod
    async def run(self, statement: str) -> None:
        """Change the table past the store."""

    @abstractmethod
    async def rows(self, table: str = "secrets") -> list[tuple[Any, ...]]:
        """Everything that is in a table."""


class InSqlite(SecretPlace):
    """The file in a home."""

    def __init__(self, home: Path) -> None:
        super().__init__(Settings(_env_file=None, home=home, database_url=None))
        self.file = home / "secrets.db"

    async def run(self, statement: str) -> None:
        with closing(sqlite3.connect(self.file)) as connection, connection:
            connection.execute(statement)

    async def rows(self, table: str = "secrets") -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.file)) as connection:
            return list(connection.execute(f"SELECT * FROM {table} ORDER BY 1"))  # noqa: S608 - our own


class InPostgres(SecretPlace):
    """The schema in the store's cluster."""

    def __init__(self, cluster: StoreCluster, home: Path) -> None:
        url = SecretStr(cluster.url)
        super().__init__(Settings(_env_file=None, home=home, database_url=url))
        self._cluster = cluster

    async def run(self, statement: str) -> None:
        async with self._cluster.session(service="secrets") as session:
            await session.execute(statement)

    async def rows(self, table: str = "secrets") -> list[tuple[Any, ...]]:
        async with self._cluster.session(service="secrets") as session:
            found = await session.fetch(f"SELECT * FROM {table} ORDER BY 1")  # noqa: S608 - our own
            return [tuple(row) for row in found]
