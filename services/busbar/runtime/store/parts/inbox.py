"""The inbox: handled messages and consumed offsets of each partition (half of law 1)."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.kernel.clock import format_time
from busbar.kernel.errors import Conflict
from busbar.runtime.store.schema import tables
from busbar.runtime.store.sql.statements import Move, Statements


class Inbox:
    """Inbox marks and consumed offsets, written in the transaction of their effects."""

    def __init__(
        self, connection: AsyncConnection, statements: Statements, *, now: datetime
    ) -> None:
        self._connection = connection
        self._statements = statements
        self._now = now

    async def first_seen(
        self, consumer: str, identities: Mapping[tuple[str, str], str]
    ) -> dict[tuple[str, str], str | None]:
        """Mark ``{(source, id): digest}`` as handled by ``consumer``.

        Returns None for each new identity, and for the others the digest of their first record.
        """
        if not identities:
            return {}
        now = format_time(self._now)
        # Sorted, so that two batches with the same events wait for each other in one order.
        rows = [(consumer, *key, digest, now) for key, digest in sorted(identities.items())]
        new = await self._statements.mark_inbox(self._connection, rows)
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
        """Return the next offset of every partition that ``consumer`` has read from."""
        rows = await self._connection.execute(
            select(tables.offsets).where(tables.offsets.c.consumer == consumer)
        )
        return {(row.topic, row.partition): row.next_offset for row in rows}

    async def advance(
        self, consumer: str, moves: Mapping[tuple[str, int], tuple[int | None, int]]
    ) -> None:
        """Move the offsets of partitions from an expected value (None: never read) to a new one.

        Raises:
            Conflict: a stored offset differs, as another process reads that partition.
        """
        known: list[Move] = []
        for (topic, partition), (expected, next_offset) in sorted(moves.items()):
            if expected is None:
                await self._begin(consumer, topic, partition, next_offset)
            else:
                known.append(Move(topic, partition, expected, next_offset))
        if known and await self._statements.move_offsets(self._connection, consumer, known) != len(
            known
        ):
            places = ", ".join(f"{move.topic}/{move.partition}" for move in known)
            raise Conflict(f"another process moved an offset of {places}")

    async def _begin(self, consumer: str, topic: str, partition: int, next_offset: int) -> None:
        place = (consumer, topic, partition, next_offset)
        if not await self._statements.insert_offset(self._connection, *place):
            raise Conflict(f"another process has read {topic}/{partition} before")
