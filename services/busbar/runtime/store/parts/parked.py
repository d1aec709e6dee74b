"""Sequences that wait: which they are, and the letters in each, in their order (law 8)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.kernel.clock import format_time
from busbar.runtime.store.model.json import dumps, loads
from busbar.runtime.store.schema import tables
from busbar.runtime.store.sql.compiled import Fixed
from busbar.runtime.store.sql.statements import Bulk
from busbar.runtime.store.sql.upsert import upsert

Request = Mapping[str, Any]

_ANY = Fixed(
    select(tables.parked.c.sequence)
    .where(tables.parked.c.consumer == bindparam("consumer"))
    .order_by(tables.parked.c.sequence)
    .limit(1)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """The state of a parked sequence: its first letter, and who asked for which to be tried."""

    number: int
    letter: str
    attempts: int
    requests: Sequence[Request]


class Parked:
    """Parks sequences and lets them go, in the transaction of what is parked."""

    def __init__(self, connection: AsyncConnection, bulk: Bulk, *, now: datetime) -> None:
        """Act on ``connection``, inside its transaction."""
        self._connection = connection
        self._bulk = bulk
        self._now = now

    async def among(self, consumer: str, sequences: Collection[str]) -> frozenset[str]:
        """Those of ``sequences`` that are parked; none of them is let go before the commit."""
        # Mostly there is none at all, and a long list of names is dear to ask for.
        some = await _ANY.rows(self._connection, self._bulk, consumer=consumer)
        if not sequences or not some:
            return frozenset()
        parked = tables.parked.c
        rows = await self._connection.execute(
            select(parked.sequence)
            .where(parked.consumer == consumer, parked.sequence.in_(sequences))
            .order_by(parked.sequence)
            .with_for_update()
        )
        return frozenset(rows.scalars())

    async def park(self, consumer: str, sequence: str, letter: str) -> None:
        """Have ``letter`` wait, last of its sequence, which is parked from now on."""
        values = {"since": format_time(self._now), "attempts": 0, "requests": "[]"}
        await self._connection.execute(
            upsert(self._connection, tables.parked)
            .values(consumer=consumer, sequence=sequence, **values)
            .on_conflict_do_nothing()
        )
        waiting = tables.waiting.c
        last = select(
            literal(consumer),
            literal(sequence),
            func.coalesce(func.max(waiting.number), 0) + 1,
            literal(letter),
        ).where(waiting.consumer == consumer, waiting.sequence == sequence)
        names = ["consumer", "sequence", "number", "letter"]
        await self._connection.execute(insert(tables.waiting).from_select(names, last))

    async def first(self, consumer: str, sequence: str) -> Wait | None:
        """The letter that ``sequence`` waits for; nobody else touches the sequence meanwhile."""
        parked, waiting = tables.parked.c, tables.waiting.c
        state = await self._connection.execute(
            select(parked.attempts, parked.requests)
            .where(parked.consumer == consumer, parked.sequence == sequence)
            .with_for_update()
        )
        known = state.first()
        found = await self._connection.execute(
            select(waiting.number, waiting.letter)
            .where(waiting.consumer == consumer, waiting.sequence == sequence)
            .order_by(waiting.number)
            .limit(1)
        )
        head = found.first()
        if known is None or head is None:
            return None
        return Wait(
            number=head.number,
            letter=head.letter,
            attempts=known.attempts,
            requests=loads(known.requests),
        )

    async def sequence_of(self, letter: str) -> str | None:
        """The sequence in which ``letter`` waits, or None if it does not."""
        found = await self._connection.execute(
            select(tables.waiting.c.sequence).where(tables.waiting.c.letter == letter)
        )
        return found.scalar()

    async def ask(self, consumer: str, sequence: str, request: Request) -> None:
        """Remember that somebody wants the sequence tried."""
        place = self._place(consumer, sequence)
        found = await self._connection.execute(
            select(tables.parked.c.requests).where(*place).with_for_update()
        )
        requests = [*loads(found.scalar() or "[]"), dict(request)]
        await self._connection.execute(
            update(tables.parked).where(*place).values(requests=dumps(requests))
        )

    async def tried(
        self, consumer: str, sequence: str, *, attempts: int, requests: Sequence[Request]
    ) -> None:
        """Remember how often the sequence was tried in vain, and which requests are still open."""
        await self._connection.execute(
            update(tables.parked)
            .where(*self._place(consumer, sequence))
            .values(attempts=attempts, requests=dumps([dict(one) for one in requests]))
        )

    async def take_out(self, letter: str) -> None:
        """Let ``letter`` wait no more."""
        await self._connection.execute(
            delete(tables.waiting).where(tables.waiting.c.letter == letter)
        )

    async def let_go(self, consumer: str, sequence: str) -> None:
        """Park the sequence no more; nothing waits in it."""
        await self._connection.execute(
            delete(tables.parked).where(*self._place(consumer, sequence))
        )

    def _place(self, consumer: str, sequence: str) -> tuple[Any, Any]:
        parked = tables.parked.c
        return parked.consumer == consumer, parked.sequence == sequence
