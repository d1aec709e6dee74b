"""A writer that is cancelled at any time leaves the store usable, and no partial writes."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from busbar.runtime.core.clock import SystemClock
from busbar.runtime.store import Document, StoreTransaction, open_store


@pytest.mark.parametrize("turns", range(40))
async def test_a_cancelled_writer_does_not_keep_the_store_locked(
    turns: int, tmp_path: Path
) -> None:
    store = await open_store(tmp_path / "s.db", service="test", clock=SystemClock())

    async def write(tx: StoreTransaction) -> None:
        for number in range(3):
            await tx.documents.put(Document(kind="k", key=str(number), value={}))

    try:
        writer = asyncio.create_task(store.transact(write))
        for _ in range(turns):
            await asyncio.sleep(0)
        writer.cancel()
        with suppress(asyncio.CancelledError):
            await writer
        await asyncio.wait_for(store.transact(write), 2)
        async with store.reading() as tx:
            assert len(await tx.documents.find("k")) == 3
    finally:
        await store.close()
