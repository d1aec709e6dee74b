"""The databases that the store and the secrets run on; a test that takes one runs on each."""

from abc import ABC, abstractmethod
from pathlib import Path

from busbar.kernel.clock import Clock
from busbar.runtime.store import Store, open_store
from support.postgres_store import StoreCluster
from support.secrets import InPostgres, InSqlite, SecretPlace


class Database(ABC):
    """A database for one test."""

    @abstractmethod
    async def empty_store(self, clock: Clock) -> Store:
        """A store without rows. The caller closes it before it asks for another."""

    @abstractmethod
    async def empty_place(self) -> SecretPlace:
        """A table of secrets without rows."""


class Sqlite(Database):
    """Files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def empty_store(self, clock: Clock) -> Store:
        self._clear()
        return await open_store(self._folder / "policy.db", service="policy", clock=clock)

    async def empty_place(self) -> SecretPlace:
        return InSqlite(self._folder / "home")

    def _clear(self) -> None:
        for file in self._folder.glob("policy.*"):
            file.unlink()


class Postgres(Database):
    """The database in a cluster, and a folder for what is not in it."""

    def __init__(self, cluster: StoreCluster, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder

    async def empty_store(self, clock: Clock) -> Store:
        await self._cluster.clear()
        return await self._cluster.open(clock)

    async def empty_place(self) -> SecretPlace:
        async with self._cluster.session(self._cluster.owner_url, service="secrets") as owner:
            await owner.execute("TRUNCATE secrets, subjects")
        return InPostgres(self._cluster, self._folder / "home")
