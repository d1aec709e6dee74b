"""A scrape refreshes the gauges, and never waits for long."""

import asyncio
from datetime import timedelta

import pytest

from busbar.runtime.core.bus import BusUnavailable
from busbar.runtime.host import gauges
from busbar.runtime.store import Store, StoreTransaction, StoreUnavailable
from busbar.testing import ManualClock, RecordingPublisher
from meta.checkout import ROOT, text
from support.gauges import Looking
from support.metrics import undocumented
from support.runtime import (
    Toy,
    append,
    drain,
    record,
)


async def test_tasks_that_are_due_are_counted_and_those_in_hand_are_not(
    store: Store, clock: ManualClock, looking: Looking
) -> None:
    async def body(tx: StoreTransaction) -> None:
        for name, late in (("a", 30), ("b", 7), ("c", -5)):
            await tx.tasks.schedule("k", name, due=tx.now - timedelta(seconds=late))

    await store.transact(body)
    found = await looking.scrape()
    assert (found["busbar_tasks_due/k"], found["busbar_tasks_oldest_due_seconds/k"]) == (2, 30)
    assert (found["busbar_tasks_due/parked"], found["busbar_store_up"]) == (0, 1)
    assert (found["busbar_tasks_waiting/k"], found["busbar_tasks_waiting/parked"]) == (1, 0)

    async def take(tx: StoreTransaction) -> None:
        await tx.tasks.claim("k", holder="a", lease=timedelta(seconds=60), limit=1)

    await store.transact(take)
    clock.advance(2)
    found = await looking.scrape()
    assert (found["busbar_tasks_due/k"], found["busbar_tasks_oldest_due_seconds/k"]) == (1, 9)


async def test_events_that_are_not_published_are_counted(store: Store, looking: Looking) -> None:
    await append(store, "s", 1, 2, 3)
    found = await looking.scrape()
    assert (found["busbar_relay_backlog_events"], found["busbar_relay_leader"]) == (3, 0)


async def test_published_events_are_not_in_the_backlog(
    store: Store, publisher: RecordingPublisher, looking: Looking
) -> None:
    await append(store, "s", 1, 2, 3)
    publisher.fail = 1
    with pytest.raises(BusUnavailable):
        await drain(looking.relay)
    assert (await looking.scrape())["busbar_relay_backlog_events"] == 3
    looking.gauges._queried_at = None
    await drain(looking.relay)
    found = await looking.scrape()
    assert (found["busbar_relay_backlog_events"], found["busbar_relay_leader"]) == (0, 1)


async def test_parked_ordering_keys_are_counted(toy: Toy, looking: Looking) -> None:
    toy.broken["s1"] = ArithmeticError("no")
    await toy.engine.handle_batch([record(0), record(1)])
    found = await looking.scrape()
    assert found["busbar_consumer_parked_keys"] == 1
    assert found["busbar_consumer_stopped"] == 0


async def test_the_lag_is_looked_at_with_every_scrape(clock: ManualClock, looking: Looking) -> None:
    await looking.scrape()
    looking.waiting = 5
    clock.advance(0.5)
    found = await looking.scrape()
    assert found["busbar_consumer_lag_records"] == 5
    assert found["busbar_consumer_lag_seconds"] == 0.5


async def test_the_database_is_queried_at_most_once_a_second(
    store: Store, clock: ManualClock, looking: Looking
) -> None:
    await looking.scrape()
    await append(store, "s", 1)
    clock.advance(0.9)
    assert (await looking.scrape())["busbar_relay_backlog_events"] == 0
    clock.advance(0.1)
    assert (await looking.scrape())["busbar_relay_backlog_events"] == 1


async def test_an_unreachable_store_is_reported_and_its_gauges_are_omitted(
    store: Store, clock: ManualClock, looking: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    await looking.scrape()

    def unreachable() -> None:
        raise StoreUnavailable("unreachable")

    monkeypatch.setattr(store, "reading", unreachable)
    clock.advance(5)
    found = await looking.scrape()
    assert found["busbar_store_up"] == 0
    assert "busbar_relay_backlog_events" not in found
    assert "busbar_tasks_due/k" not in found
    assert found["busbar_consumer_lag_seconds"] == 0
    monkeypatch.undo()
    clock.advance(5)
    found = await looking.scrape()
    assert (found["busbar_store_up"], found["busbar_relay_backlog_events"]) == (1, 0)


async def test_a_store_that_hangs_does_not_delay_a_scrape(
    store: Store, looking: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = asyncio.Event()

    class Hanging:
        async def __aenter__(self) -> None:
            await goes_on.wait()
            raise StoreUnavailable("unreachable")

        async def __aexit__(self, *_error: object) -> None:
            """Never called."""

    monkeypatch.setattr(gauges, "QUERY_TIMEOUT_SECONDS", 0.01)
    monkeypatch.setattr(store, "reading", Hanging)
    async with asyncio.timeout(2):
        first, again = await asyncio.gather(looking.scrape(), looking.scrape())
    assert first["busbar_store_up"] == again["busbar_store_up"] == 0
    goes_on.set()


async def test_every_metric_of_a_scrape_is_documented(looking: Looking) -> None:
    page = text(ROOT / "docs" / "metrics.md")
    assert undocumented((await looking.gauges.expose()).decode(), page) == []
    assert undocumented('busbar_tasks_due{service="x"} 1\n', page) == [
        "busbar_tasks_due['service']"
    ]


async def test_the_guard_lag_is_zero_without_writers(store: Store, looking: Looking) -> None:
    await append(store, "s", 1)
    assert (await looking.scrape())["busbar_store_guard_lag_seconds"] == 0
