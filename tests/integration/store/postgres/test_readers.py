"""Readers on PostgreSQL: events of a late commit are neither lost nor overtaken."""

import asyncio
import random

from sqlalchemy import select, text

from busbar.runtime.outbox.relay import Relay, RelayTiming
from busbar.runtime.store import Cause, Store, StoreTransaction
from busbar.runtime.store.schema import tables
from busbar.testing import ManualClock, RecordingPublisher
from support import eventually
from support.postgres_store import StoreCluster
from support.runtime import (
    SOURCE,
    append,
    drain,
    expected_facts,
    fact,
    facts_on,
    relay_of,
    relaying,
)
from support.sql import run_sql

WRITERS = 8
EACH = 25


class Naive:
    """The naive reader: everything after the highest position."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._position = 0
        self.seen: list[str] = []

    async def look(self) -> None:
        events = tables.events.c
        query = select(events.position, events.id).where(events.position > self._position)
        async with self._store.reading() as tx:
            for row in await run_sql(tx, query.order_by(events.position)):
                self._position = row.position
                self.seen.append(row.id)


class Ours:
    """The store's reader: page by page with :meth:`Store.events`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._position = 0
        self.seen: list[str] = []

    async def look(self) -> None:
        while page := await self._store.events(after=self._position, limit=7):
            self.seen.extend(event.id for event in page)
            self._position = page[-1].position


async def late(store: Store, stream: str, began: asyncio.Event, may_end: asyncio.Event) -> None:
    """Append, and commit once ``may_end`` is set."""

    async def body(tx: StoreTransaction) -> None:
        tx.caused_by(Cause(SOURCE, f"late {stream}", "c"))
        await tx.append(stream, [fact(1)], key=stream)
        await tx.flush()
        began.set()
        await may_end.wait()

    await store.transact(body)


async def test_a_reader_by_position_loses_what_commits_late_and_ours_does_not(
    store: Store,
) -> None:
    naive, ours = Naive(store), Ours(store)
    began, may_end = asyncio.Event(), asyncio.Event()
    slow = asyncio.create_task(late(store, "slow", began, may_end))
    await began.wait()
    await append(store, "quick", 2)
    await naive.look()
    await ours.look()
    assert (len(naive.seen), ours.seen) == (1, [])
    assert await store.last_position() == 0
    may_end.set()
    await slow
    await naive.look()
    await ours.look()
    assert len(naive.seen) == 1, "the trap is gone, and so is the need for the guard"
    assert len(ours.seen) == 2


async def test_stalling_writers_lose_nothing(store: Store) -> None:
    dice = random.Random(7)
    naive, ours = Naive(store), Ours(store)

    async def writer(name: int) -> list[str]:
        ids = []
        for number in range(EACH):
            stall = 0.05 if dice.random() < 0.2 else 0.0

            async def body(
                tx: StoreTransaction, number: int = number, stall: float = stall
            ) -> list[str]:
                tx.caused_by(Cause(SOURCE, f"{name}/{number}", "c"))
                made = await tx.append(f"s{name}", [fact(number)], key="k")
                await tx.flush()
                await run_sql(tx, text("SELECT pg_sleep(:stall)"), {"stall": stall})
                return made

            ids += await store.transact(body)
        return ids

    writing = asyncio.gather(*(writer(name) for name in range(WRITERS)))
    while not writing.done():
        await naive.look()
        await ours.look()
    written = [id_ for ids in await writing for id_ in ids]
    await naive.look()
    await ours.look()
    assert sorted(ours.seen) == sorted(written)
    assert len(naive.seen) < len(written)


async def test_the_relay_numbers_what_commits_late_in_the_order_that_readers_see(
    store: Store, relay: Relay, publisher: RecordingPublisher
) -> None:
    began, may_end = asyncio.Event(), asyncio.Event()
    slow = asyncio.create_task(late(store, "slow", began, may_end))
    await began.wait()
    await append(store, "quick", 2)
    await drain(relay)
    assert facts_on(publisher) == []
    may_end.set()
    await slow
    await append(store, "quick", 3)
    await drain(relay)
    assert facts_on(publisher) == expected_facts(1, 2, 3)


async def test_a_transaction_elsewhere_in_the_cluster_delays_readers_and_loses_nothing(
    store: Store, cluster: StoreCluster, relay: Relay, publisher: RecordingPublisher
) -> None:
    async with cluster.session(cluster.server.url()) as other:
        await other.execute("BEGIN")
        await other.execute("SELECT pg_current_xact_id()")
        await append(store, "a", 1, 2)
        await drain(relay)
        assert (facts_on(publisher), await store.events()) == ([], [])
        await other.execute("SELECT pg_sleep(1)")
        await append(store, "a", 3)
        await drain(relay)
        assert (facts_on(publisher), await store.events()) == ([], [])
        await other.execute("COMMIT")
    await drain(relay)
    assert facts_on(publisher) == expected_facts(1, 2, 3)
    assert [event.version for event in await store.events()] == [1, 2, 3]


async def test_the_relay_publishes_immediately_when_what_it_waited_for_has_ended(
    store: Store,
    cluster: StoreCluster,
    publisher: RecordingPublisher,
    clock: ManualClock,
) -> None:
    """A commit of its own process does not wake it: the other transaction is in another one."""
    timing = RelayTiming(idle=3600, head_interval=3600)
    relay = relay_of(store, publisher, clock, timing=timing)
    async with cluster.session(cluster.server.url()) as other:
        await other.execute("BEGIN")
        await other.execute("SELECT pg_current_xact_id()")
        async with relaying(relay):
            await append(store, "a", 1)
            await eventually(lambda: relay.healthy and relay._hidden)
            assert facts_on(publisher) == []
            await other.execute("COMMIT")
            await eventually(lambda: facts_on(publisher) == expected_facts(1), within=5)


async def test_a_page_begins_where_the_last_one_ended_though_positions_run_the_other_way(
    store: Store,
) -> None:
    """The older transaction gets the higher position: ordering by position would skip events."""
    marked, may_append = asyncio.Event(), asyncio.Event()

    async def body(tx: StoreTransaction) -> None:
        tx.caused_by(Cause(SOURCE, "older", "c"))
        await tx.outbox.acknowledge(1)
        marked.set()
        await may_append.wait()
        await tx.append("older", [fact(1)], key="k")

    older = asyncio.create_task(store.transact(body))
    await marked.wait()
    await append(store, "younger", 2)
    may_append.set()
    await older
    (first,) = await store.events(limit=1)
    (second,) = await store.events(after=first.position, limit=1)
    assert [first.stream, second.stream] == ["older", "younger"]
    assert first.position > second.position
    assert await store.events(after=second.position) == []
    assert await store.last_position() == second.position
