"""Ordering keys that wait: which they are, and the dead letters in each, in their order (law 8)."""

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
    """The state of a parked ordering key: its first letter, and who asked for which to be tried."""

    number: int
    dead_letter: str
    attempts: int
    requests: Sequence[Request]


class Parked:
    """Parks ordering keys and lets them go, in the transaction of what is parked."""

    def __init__(
        self, connection: AsyncConnection, statements: Statements, *, now: datetime
    ) -> None:
        """Act on ``connection``, inside its transaction."""
        self._connection = connection
        self._statements = statements
        self._now = now

    async def filter_parked(self, consumer: str, ordering_keys: Collection[str]) -> frozenset[str]:
        """Those of ``ordering_keys`` that are parked; none of them is let go before the commit."""
        # Usually none is parked at all, and a query with a long list of keys is expensive.
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
        """Have ``dead_letter`` wait, last of its ordering key, which is parked from now on."""
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
        """The ordering key in which ``dead_letter`` waits, or None if it does not."""
        found = await self._connection.execute(
            select(tables.parked_records.c.ordering_key).where(
                tables.parked_records.c.dead_letter == dead_letter
            )
        )
        return found.scalar()

    async def add_request(self, consumer: str, ordering_key: str, request: Request) -> None:
        """Remember that somebody wants the ordering key tried."""
        place = self._place(consumer, ordering_key)
        found = await self._connection.execute(
            select(tables.parked_keys.c.requests).where(*place).with_for_update()
        )
        requests = [*loads(found.scalar() or "[]"), dict(request)]
        await self._connection.execute(
            update(tables.parked_keys).where(*place).values(requests=dumps(requests))
        )

    async def record_attempt(
        self, consumer: str, ordering_key: str, *, attempts: int, requests: Sequence[Request]
    ) -> None:
        """Record the failed attempts of the ordering key and the requests that are still open."""
        await self._connection.execute(
            update(tables.parked_keys)
            .where(*self._place(consumer, ordering_key))
            .values(attempts=attempts, requests=dumps([dict(one) for one in requests]))
        )

    async def remove(self, dead_letter: str) -> None:
        """Let ``dead_letter`` wait no more."""
        await self._connection.execute(
            delete(tables.parked_records).where(tables.parked_records.c.dead_letter == dead_letter)
        )

    async def unpark(self, consumer: str, ordering_key: str) -> None:
        """Park the ordering key no more; nothing waits in it."""
        await self._connection.execute(
            delete(tables.parked_keys).where(*self._place(consumer, ordering_key))
        )

    async def count(self, consumer: str, *, limit: int) -> int:
        """Count the parked ordering keys, up to ``limit``."""
        parked = tables.parked_keys.c
        some = select(parked.ordering_key).where(parked.consumer == consumer).limit(limit)
        return await log.count(self._connection, some)

    def _place(self, consumer: str, ordering_key: str) -> tuple[Any, Any]:
        parked = tables.parked_keys.c
        return parked.consumer == consumer, parked.ordering_key == ordering_key
