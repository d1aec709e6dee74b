"""Streams where transactions do not take turns."""

import asyncio

from busbar.runtime.store import Document, Store, StoreTransaction


async def test_what_a_transaction_has_read_does_not_change_before_it_commits(
    store: Store,
) -> None:
    async def body(tx: StoreTransaction) -> None:
        before = await tx.documents.get("k", "count")
        await asyncio.sleep(0)
        count = before["n"] + 1 if before else 1
        await tx.documents.put(Document(kind="k", key="count", value={"n": count}))

    await asyncio.gather(*(store.transact(body) for _ in range(20)))
    async with store.reading() as tx:
        assert await tx.documents.get("k", "count") == {"n": 20}
