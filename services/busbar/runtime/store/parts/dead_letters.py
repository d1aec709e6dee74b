"""The sealed records of dead letters."""

from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.kernel.clock import format_time
from busbar.runtime.store.schema import tables


class SealedRecords:
    """Inserts and finds the encrypted records of dead letters."""

    def __init__(self, connection: AsyncConnection, *, now: datetime) -> None:
        self._connection = connection
        self._now = now

    async def insert(
        self, id_: str, *, topic: str, partition: int, offset: int, reason: str, sealed: bytes
    ) -> None:
        """Insert a dead letter; ``sealed`` is the encrypted record."""
        await self._connection.execute(
            insert(tables.dead_letters).values(
                id=id_,
                topic=topic,
                partition=partition,
                offset=offset,
                reason=reason,
                sealed=sealed,
                recorded_time=format_time(self._now),
            )
        )

    async def find(self, id_: str) -> bytes | None:
        """Return the encrypted record of the dead letter, or None if there is none."""
        found = await self._connection.execute(
            select(tables.dead_letters.c.sealed).where(tables.dead_letters.c.id == id_)
        )
        sealed: bytes | None = found.scalar()
        return sealed
