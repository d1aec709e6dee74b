"""The lock on streams: without it, readers see a stream out of order (ADR 12)."""

import asyncio
from typing import Any

import pytest

from busbar.runtime.store import Cause, Store, StoreTransaction
from busbar.runtime.store.engines.postgres import PostgresDialect
from support.runtime import (
    SOURCE,
    append,
    fact,
)


async def crossed(store: Store) -> tuple[list[int], int]:
    """Return a stream as it is read after an older transaction appended after a younger one.

    The number of a transaction is given with its first write, here of its inbox. Also
    returned is the number of times that the older one ran.
    """
    marked, may_append = asyncio.Event(), asyncio.Event()
    runs = 0

    async def older(tx: StoreTransaction) -> None:
        nonlocal runs
        runs += 1
        await tx.inbox.first_seen("policy", {(SOURCE, "older"): ""})
        marked.set()
        await may_append.wait()
        tx.caused_by(Cause(SOURCE, "older", "c"))
        await tx.append("s", [fact(2)], key="s")

    writing = asyncio.create_task(store.transact(older))
    await marked.wait()
    await append(store, "s", 1)
    may_append.set()
    await writing
    return [event.version for event in await store.events()], runs


async def test_with_the_lock_a_stream_is_read_in_its_order(store: Store) -> None:
    assert await crossed(store) == ([1, 2], 2)


async def test_without_the_lock_a_stream_is_read_the_wrong_way_round(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unlocked(*_: Any) -> None:
        return

    monkeypatch.setattr(StoreTransaction, "_lock_streams", unlocked)
    monkeypatch.setattr(PostgresDialect, "lock", unlocked)
    assert await crossed(store) == ([2, 1], 1)
