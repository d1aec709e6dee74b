"""The gauge of the guard, which only PostgreSQL has."""

import asyncio

from busbar.runtime.store import Cause, Store, StoreTransaction
from busbar.testing import ManualClock
from support.gauges import Looking
from support.runtime import (
    SOURCE,
    append,
    fact,
)


async def test_the_guard_lags_by_the_age_of_what_a_running_transaction_hides(
    store: Store, clock: ManualClock, looking: Looking
) -> None:
    began, may_end = asyncio.Event(), asyncio.Event()

    async def slow(tx: StoreTransaction) -> None:
        tx.caused_by(Cause(SOURCE, "slow", "c"))
        await tx.append("slow", [fact(1)], key="slow")
        await tx.flush()
        began.set()
        await may_end.wait()

    running = asyncio.create_task(store.transact(slow))
    await began.wait()
    clock.advance(1)
    await append(store, "quick", 2)
    clock.advance(7)
    assert (await looking.scrape())["busbar_store_guard_lag_seconds"] == 7
    may_end.set()
    await running
    clock.advance(2)
    assert (await looking.scrape())["busbar_store_guard_lag_seconds"] == 0
