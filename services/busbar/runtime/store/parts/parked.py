"""Parked ordering keys, and the dead letters of each in their order (law 8)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.kernel.clock import format_time
from busbar.runtime.store.model.json import dumps, loads
from busbar.runtime.store.parts import log
from busbar.runtime.store.schema import tables
from busbar.runtime.store.sql.statements import Statements

Request = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """The state of a parked ordering key: its first dead letter and the open redrive requests."""

    number: int
    dead_letter: str
    attempts: int
    requests: Sequence[Request]


class Parked:
    """Parks and unparks ordering keys in the transaction of their records."""

    def __init__(
        self, connection: AsyncConnection, statements: Statements, *, now: datetime
    ) -> None:
        self._connection = connection
        self._statements = statements
        self._now = now

    async def filter_parked(self, consumer: str, ordering_keys: Collection[str]) -> frozenset[str]:
        """Return those of ``ordering_keys`` that are parked, locked until the commit."""
        # Usually no key is parked, and a query with a long list of keys is expensive.
        if not ordering_keys or not await self._statements.any_parked(self._connection, consumer):
            return frozenset()
        parked = tables.parked_keys.c
        rows = await self._connection.execute(
            select(parked.ordering_key)
            .where(parked.consumer == consumer, parked.ordering_key.in_(ordering_keys))
            .order_by(parked.ordering_key)
            .with_for_update()
        )
        return frozenset(rows.scalars())

    async def park(self, consumer: str, ordering_key: str, dead_letter: str) -> None:
        """Park ``ordering_key`` if it is not, and append ``dead_letter`` to its records."""
        since = format_time(self._now)
        await self._statements.park_key(self._connection, consumer, ordering_key, since)
        waiting = tables.parked_records.c
        last = select(
            literal(consumer),
            literal(ordering_key),
            func.coalesce(func.max(waiting.number), 0) + 1,
            literal(dead_letter),
        ).where(waiting.consumer == consumer, waiting.ordering_key == ordering_key)
        names = ["consumer", "ordering_key", "number", "dead_letter"]
        await self._connection.execute(insert(tables.parked_records).from_select(names, last))

    async def first_parked(self, consumer: str, ordering_key: str) -> Wait | None:
        """Return the first dead letter of ``ordering_key`` and lock the key until the commit."""
        parked, waiting = tables.parked_keys.c, tables.parked_records.c
        state = await self._connection.execute(
            select(parked.attempts, parked.requests)
            .where(parked.consumer == consumer, parked.ordering_key == ordering_key)
            .with_for_update()
        )
        known = state.first()
        found = await self._connection.execute(
            select(waiting.number, waiting.dead_letter)
            .where(waiting.consumer == consumer, waiting.ordering_key == ordering_key)
            .order_by(waiting.number)
            .limit(1)
        )
        head = found.first()
        if known is None or head is None:
            return None
        return Wait(
            number=head.number,
            dead_letter=head.dead_letter,
            attempts=known.attempts,
            requests=loads(known.requests),
        )

    async def ordering_key_of(self, dead_letter: str) -> str | None:
        """Return the ordering key under which ``dead_letter`` is parked, or None."""
        found = await self._connection.execute(
            select(tables.parked_records.c.ordering_key).where(
                tables.parked_records.c.dead_letter == dead_letter
            )
        )
        return found.scalar()

    async def add_request(self, consumer: str, ordering_key: str, request: Request) -> None:
        """Add a request to retry the ordering key."""
        row = self._row(consumer, ordering_key)
        found = await self._connection.execute(
            select(tables.parked_keys.c.requests).where(*row).with_for_update()
        )
        requests = [*loads(found.scalar() or "[]"), dict(request)]
        await self._connection.execute(
            update(tables.parked_keys).where(*row).values(requests=dumps(requests))
        )

    async def record_attempt(
        self, consumer: str, ordering_key: str, *, attempts: int, requests: Sequence[Request]
    ) -> None:
        """Set the failed attempts of the ordering key and its open requests."""
        await self._connection.execute(
            update(tables.parked_keys)
            .where(*self._row(consumer, ordering_key))
            .values(attempts=attempts, requests=dumps([dict(one) for one in requests]))
        )

    async def remove(self, dead_letter: str) -> None:
        """Remove ``dead_letter`` from the parked records of its key."""
        await self._connection.execute(
            delete(tables.parked_records).where(tables.parked_records.c.dead_letter == dead_letter)
        )

    async def unpark(self, consumer: str, ordering_key: str) -> None:
        """Unpark the ordering key, which must have no parked records."""
        await self._connection.execute(
            delete(tables.parked_keys).where(*self._row(consumer, ordering_key))
        )

    async def count(self, consumer: str, *, limit: int) -> int:
        """Count the parked ordering keys, up to ``limit``."""
        parked = tables.parked_keys.c
        some = select(parked.ordering_key).where(parked.consumer == consumer).limit(limit)
        return await log.count(self._connection, some)

    def _row(self, consumer: str, ordering_key: str) -> tuple[Any, Any]:
        parked = tables.parked_keys.c
        return parked.consumer == consumer, parked.ordering_key == ordering_key
