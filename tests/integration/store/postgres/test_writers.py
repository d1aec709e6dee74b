"""Writers on PostgreSQL: streams keep their order, writers do not deadlock, leases are shared."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from busbar.kernel.errors import Conflict
from busbar.runtime.store import Cause, Document, Store, StoreTransaction
from busbar.testing import ManualClock
from support import eventually
from support.postgres_store import StoreCluster
from support.runtime import (
    BEGIN,
    SOURCE,
    append,
    fact,
    facts_of,
)
from support.sql import run_sql


def cause(name: str) -> Cause:
    return Cause(SOURCE, name, "c")


async def test_batches_that_cross_the_same_streams_in_opposite_orders_both_commit(
    store: Store, cluster: StoreCluster
) -> None:
    meeting = asyncio.Barrier(2)

    async def batch(name: str, streams: str) -> None:
        first = True

        async def body(tx: StoreTransaction) -> None:
            nonlocal first
            tx.caused_by(cause(name))
            for stream in streams:
                await tx.append(stream, [fact(1)], key=stream)
                await tx.flush()
                if first:
                    first = False
                    await meeting.wait()

        await store.transact(body)

    await asyncio.gather(batch("there", "ab"), batch("back", "ba"))
    assert await facts_of(store, "a") == await facts_of(store, "b") == [1, 1]
    assert "deadlock detected" not in cluster.server.said()


async def test_a_deadlock_on_documents_is_tried_again(store: Store) -> None:
    meeting = asyncio.Barrier(2)

    async def batch(keys: str) -> None:
        first = True

        async def body(tx: StoreTransaction) -> None:
            nonlocal first
            for key in keys:
                before = await tx.documents.get("k", key) or {"n": 0}
                count = {"n": before["n"] + 1}
                await tx.documents.put(Document(kind="k", key=key, value=count))
                if first:
                    first = False
                    await meeting.wait()

        await store.transact(body)

    await asyncio.gather(batch("ab"), batch("ba"))
    async with store.reading() as tx:
        assert [item.value for item in await tx.documents.find("k")] == [{"n": 2}, {"n": 2}]


async def test_of_two_that_find_no_document_the_second_looks_again(store: Store) -> None:
    meeting = asyncio.Barrier(2)

    async def count() -> None:
        first = True

        async def body(tx: StoreTransaction) -> None:
            nonlocal first
            before = await tx.documents.get("k", "a") or {"n": 0}
            if first:
                first = False
                await meeting.wait()
            await tx.documents.put(Document(kind="k", key="a", value={"n": before["n"] + 1}))

        await store.transact(body)

    await asyncio.gather(count(), count())
    async with store.reading() as tx:
        assert await tx.documents.get("k", "a") == {"n": 2}


async def test_eight_writers_of_one_stream_all_get_their_turn(store: Store) -> None:
    async def writer(name: int) -> None:
        for number in range(10):
            await append(store, "s", name * 100 + number, index=name)

    await asyncio.gather(*(writer(name) for name in range(8)))
    events = await store.events(limit=1000)
    assert [event.version for event in events] == list(range(1, 81))
    recorded = await facts_of(store, "s")
    for name in range(8):
        own = [number for number in recorded if number // 100 == name]
        assert own == [name * 100 + number for number in range(10)]


async def test_what_cannot_be_resolved_is_a_conflict(store: Store) -> None:
    await append(store, "s", 1)
    runs = 0

    async def again(tx: StoreTransaction) -> None:
        nonlocal runs
        runs += 1
        tx.caused_by(Cause(SOURCE, "s-1", "correlation"))
        await tx.append("s", [fact(1)], key="s")

    with pytest.raises(Conflict):
        await store.transact(again)
    assert 1 < runs < 10


async def test_what_another_one_claims_is_passed_by_without_waiting(store: Store) -> None:
    async def schedule(tx: StoreTransaction) -> None:
        for name in "ab":
            await tx.tasks.schedule("k", name)

    await store.transact(schedule)
    meeting = asyncio.Barrier(2)

    async def claim(tx: StoreTransaction) -> list[str]:
        claims = await tx.tasks.claim("k", holder="x", lease=timedelta(seconds=5), limit=1)
        await meeting.wait()
        return [claim.name for claim in claims]

    both = await asyncio.gather(store.transact(claim), store.transact(claim))
    assert sorted(both) == [["a"], ["b"]]


async def test_leases_go_by_the_clock_of_the_database(cluster: StoreCluster) -> None:
    await cluster.clear()
    wrong = await cluster.open(ManualClock(BEGIN - timedelta(days=400)), own_clock=False)
    try:
        async with cluster.session() as other:
            before = await other.fetchval("SELECT clock_timestamp()")

        async def body(tx: StoreTransaction) -> datetime:
            await tx.tasks.schedule("k", "a")
            (claim,) = await tx.tasks.claim("k", holder="x", lease=timedelta(seconds=5), limit=1)
            assert claim.epoch == 1
            return tx.now

        now = await wrong.transact(body)
        assert now.tzinfo is UTC
        assert before <= now < before + timedelta(seconds=5)
    finally:
        await wrong.close()


async def test_who_idles_in_a_transaction_is_ended(store: Store) -> None:
    async with store.reading() as tx:
        found = await run_sql(tx, text("SHOW idle_in_transaction_session_timeout"))
        assert found.scalar() == "5s"
        assert (await run_sql(tx, text("SHOW lock_timeout"))).scalar() == "5s"
        assert (await run_sql(tx, text("SHOW statement_timeout"))).scalar() == "30s"


async def test_a_session_that_stops_in_the_middle_of_a_statement_is_ended_and_blocks_no_one(
    store: Store, cluster: StoreCluster
) -> None:
    async with cluster.session(application_name="busbar_policy") as frozen:
        transaction = frozen.transaction()
        await transaction.start()
        await frozen.execute("INSERT INTO checkpoints VALUES ('frozen', 1)")
        _stop_after_parsing(frozen)
        await append(store, "s", 1)
        await eventually(
            lambda: _relieved(store), within=10, what="the end of the session that stands still"
        )
        # PostgreSQL has sent the signal; the session ends shortly afterwards.
        (event,) = await eventually(store.events, what="the event behind the ended transaction")
        assert event.stream == "s"
        frozen.terminate()


BETWEEN_STEPS = timedelta(milliseconds=100)
"""Longer than a statement takes from its parsing to its execution, also on a loaded machine."""


async def test_who_waits_between_statements_or_works_on_one_is_not_taken_for_frozen(
    store: Store, cluster: StoreCluster
) -> None:
    async with cluster.session(application_name="busbar_policy") as one, one.transaction():
        await one.execute("INSERT INTO checkpoints VALUES ('idle', 1)")
        assert await store.terminate_stalled_sessions(after=BETWEEN_STEPS) == 0
        loop = asyncio.get_running_loop()
        # Before its end: then the server waits for the client once more.
        until = loop.time() + 0.5
        working = asyncio.create_task(one.execute("SELECT pg_sleep(1)"))
        while loop.time() < until:
            assert await store.terminate_stalled_sessions(after=BETWEEN_STEPS) == 0
        await working


async def test_sessions_of_others_are_left_alone(store: Store, cluster: StoreCluster) -> None:
    async with cluster.session(application_name="psql") as session:
        transaction = session.transaction()
        await transaction.start()
        await session.execute("INSERT INTO checkpoints VALUES ('theirs', 1)")
        _stop_after_parsing(session)
        await eventually(
            lambda: _waits_in_a_statement(cluster, "psql"), within=10, what="it to stand still"
        )
        assert await store.terminate_stalled_sessions(after=timedelta()) == 0
        session.terminate()


def _stop_after_parsing(session: Any) -> None:
    """Send what a driver sends before the first use of a statement, but not what follows.

    https://www.postgresql.org/docs/current/protocol-message-formats.html: Parse, then Flush.
    """
    body = b"\0SELECT 1\0" + (0).to_bytes(2)
    session._transport.pause_reading()
    session._transport.write(b"P" + (len(body) + 4).to_bytes(4) + body + b"H" + (4).to_bytes(4))


async def _relieved(store: Store) -> bool:
    return await store.terminate_stalled_sessions(after=timedelta()) == 1


async def _waits_in_a_statement(cluster: StoreCluster, name: str) -> bool:
    async with cluster.session() as session:
        return bool(
            await session.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1"
                " AND state = 'active' AND wait_event = 'ClientRead'",
                name,
            )
        )


@pytest.mark.parametrize("turns", range(0, 60, 3))
async def test_a_cancelled_writer_leaves_nothing_locked(turns: int, store: Store) -> None:
    async def write(tx: StoreTransaction) -> None:
        for number in range(3):
            await tx.documents.put(Document(kind="k", key=str(number), value={}))

    writer = asyncio.create_task(store.transact(write))
    for _ in range(turns):
        await asyncio.sleep(0)
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)
    await asyncio.wait_for(store.transact(write), 4)
