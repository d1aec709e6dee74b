"""What has been handled and how far each partition has been read: half of law 1."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import and_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.kernel.clock import format_time
from busbar.kernel.errors import Conflict
from busbar.runtime.store import tables
from busbar.runtime.store.upsert import upsert


class Inbox:
    """Inbox marks and consumed offsets, written in the transaction of their effects."""

    def __init__(self, connection: AsyncConnection, *, now: datetime) -> None:
        """Act on ``connection``, inside its transaction."""
        self._connection = connection
        self._now = now

    async def first_seen(
        self, consumer: str, identities: Mapping[tuple[str, str], str]
    ) -> dict[tuple[str, str], str | None]:
        """Mark ``{(source, id): digest}`` as handled by ``consumer``.

        Returns None for each identity that is new, and the digest it first came with for the rest.
        """
        if not identities:
            return {}
        now = format_time(self._now)
        rows = [
            {
                "consumer": consumer,
                "source": source,
                "id": id_,
                "digest": digest,
                "recorded_time": now,
            }
            # Sorted, so that two batches with the same events wait for each other in one order.
            for (source, id_), digest in sorted(identities.items())
        ]
        statement = (
            upsert(self._connection, tables.inbox)
            .on_conflict_do_nothing()
            .returning(tables.inbox.c.source, tables.inbox.c.id)
        )
        added = await self._connection.execute(statement, rows)
        new = {(row.source, row.id) for row in added}
        result: dict[tuple[str, str], str | None] = {}
        for identity in identities:
            result[identity] = None if identity in new else await self._digest(consumer, identity)
        return result

    async def _digest(self, consumer: str, identity: tuple[str, str]) -> str:
        inbox = tables.inbox.c
        found = await self._connection.execute(
            select(inbox.digest).where(
                inbox.consumer == consumer, inbox.source == identity[0], inbox.id == identity[1]
            )
        )
        return str(found.scalar_one())

    async def offsets(self, consumer: str) -> dict[tuple[str, int], int]:
        """The next offset of every partition that ``consumer`` has read from."""
        rows = await self._connection.execute(
            select(tables.offsets).where(tables.offsets.c.consumer == consumer)
        )
        return {(row.topic, row.partition): row.next_offset for row in rows}

    async def advance(
        self, consumer: str, topic: str, partition: int, *, expected: int | None, next_offset: int
    ) -> None:
        """Move a partition's offset from ``expected`` (None: never read) by compare-and-set.

        Raises:
            Conflict: the stored offset is another one; somebody else reads this partition.
        """
        where = and_(
            tables.offsets.c.consumer == consumer,
            tables.offsets.c.topic == topic,
            tables.offsets.c.partition == partition,
        )
        if expected is None:
            statement: Any = (
                upsert(self._connection, tables.offsets)
                .values(
                    consumer=consumer, topic=topic, partition=partition, next_offset=next_offset
                )
                .on_conflict_do_nothing()
            )
        else:
            statement = (
                update(tables.offsets)
                .where(where, tables.offsets.c.next_offset == expected)
                .values(next_offset=next_offset)
            )
        moved = await self._connection.execute(statement)
        if moved.rowcount != 1:
            raise Conflict(f"the offset of {topic}/{partition} is no longer {expected}")
