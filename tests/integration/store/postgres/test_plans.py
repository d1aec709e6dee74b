"""The planner uses indexes only, even without statistics of tables that just grew."""

from datetime import timedelta

from busbar.runtime.store import Cause, Store, StoreTransaction
from support import eventually
from support.postgres_store import StoreCluster
from support.runtime import (
    SOURCE,
    append,
    fact,
    facts_of,
)

STREAMS = [f"s{number}" for number in range(200)]


async def test_streams_news_the_inbox_and_tasks_are_found_by_indexes(
    store: Store, cluster: StoreCluster
) -> None:
    async def fill(tx: StoreTransaction) -> None:
        tx.caused_by(Cause(SOURCE, "fill", "c"))
        for stream in STREAMS:
            await tx.append(stream, [fact(number) for number in range(10)], key=stream)
            await tx.tasks.schedule("saga", stream)
        await tx.inbox.first_seen("policy", {(SOURCE, stream): "" for stream in STREAMS})

    async def work(tx: StoreTransaction) -> None:
        await tx.fetch(STREAMS[:100])
        claims = await tx.tasks.claim("saga", holder="h", lease=timedelta(seconds=5), limit=50)
        assert len(await tx.tasks.held(claims)) == 50
        await tx.inbox.first_seen("policy", {(SOURCE, "s0"): ""})
        await tx.tasks.next_due("saga")

    await store.transact(fill)
    before = await _scans(cluster)
    await store.transact(work)
    async with store.reading() as tx:
        await tx.outbox.has_new_events(after=await tx.log.newest() or 0)
    assert len(await store.events(after=await store.last_position() - 5)) == 5
    assert await facts_of(store, "s1") == list(range(10))
    await append(store, "s1", 11)

    await store.close()  # a session reports its statistics when it ends

    async def read() -> bool:
        after = await _scans(cluster)
        found = {table: after[table][1] - before[table][1] for table in after}
        return all(found[table] > 0 for table in ("events", "tasks", "inbox"))

    await eventually(read, within=20, every=0.1, what="statistics of the reads")
    after = await _scans(cluster)
    assert {name: count for name, (count, _) in after.items() if count > before[name][0]} == {}


async def _scans(cluster: StoreCluster) -> dict[str, tuple[int, int]]:
    """Return the number of sequential and index scans of each table."""
    async with cluster.session() as session:
        rows = await session.fetch(
            "SELECT relname, seq_scan, idx_scan FROM pg_stat_user_tables"
            " WHERE schemaname = 'busbar_policy'"
        )
    return {row["relname"]: (row["seq_scan"], row["idx_scan"]) for row in rows}
