"""Each record is counted once, by its outcome, and only when that is committed."""

from contextlib import suppress

import pytest

from busbar.messages.notification import ApplySubscription
from busbar.runtime.consume.engine import Engine
from busbar.runtime.consume.service import Service
from busbar.runtime.store import Cause, Store, Transaction
from busbar.testing import ManualClock, RecordingPublisher
from support.metrics import counted, counting
from support.runtime import (
    SOURCE,
    Toy,
    append,
    drain,
    fact,
    intent,
    record,
    relay_of,
    unreadable,
)
from support.sql import own

OWN = "payments/dev/stream/own"


async def test_records_are_counted_by_what_became_of_them(toy: Toy) -> None:
    toy.broken["s4"] = ArithmeticError("no")
    batch = [
        record(0),
        record(1, intent(0), id_="intent-0"),
        record(2, {}, type_=ApplySubscription.TYPE),
        unreadable(3),
        record(4, key=OWN),
        record(5, key=OWN),
    ]
    with counting("busbar_consumer_records_total", "outcome") as found:
        await toy.engine.handle_batch(batch)
    assert found == {
        "handled": 1,
        "repeated": 1,
        "skipped": 1,
        "dead_lettered": 1,
        "parked": 1,
        "waiting": 1,
    }


async def test_records_that_come_again_are_not_counted_again(toy: Toy) -> None:
    batch = [record(offset) for offset in range(3)]
    await toy.engine.handle_batch(batch)
    with counting("busbar_consumer_records_total", "outcome") as found:
        await toy.restarted().handle_batch(batch)
    assert found == {}


async def test_a_batch_that_is_cut_in_halves_is_counted_once(toy: Toy) -> None:
    toy.failing["s2"] = [ArithmeticError("no") for _ in range(3)]
    with (
        counting("busbar_consumer_records_total", "outcome") as found,
        counting("busbar_consumer_retries_total", "reason") as retries,
    ):
        await toy.engine.handle_batch([record(offset) for offset in range(4)])
    assert found == {"handled": 4}
    assert retries == {"handler": 1}


async def test_a_handler_of_all_records_handles_every_record(
    store: Store, toy: Toy, clock: ManualClock
) -> None:
    service = Service("audit")

    async def take(found: object, content: object, tx: Transaction) -> None:
        """Do nothing."""

    service.on_record(take)
    engine = Engine(service, store, toy.dead_letters, clock=clock, attempts=3)
    with counting("busbar_consumer_records_total", "outcome", "audit") as found:
        await engine.handle_batch([record(0), unreadable(1), record(2)])
    assert found == {"handled": 3}


async def test_what_a_transaction_measures_counts_when_it_is_committed(store: Store) -> None:
    seen: list[float] = []

    async def body(tx: Transaction) -> None:
        tx.caused_by(Cause(SOURCE, "1", "c"))
        await tx.append("s", [fact()])
        tx.measure(seen.append, 1)
        with suppress(ArithmeticError):
            async with own(tx).savepoint():
                tx.measure(seen.append, 2)
                await tx.append("s", [fact(2)])
                raise ArithmeticError
        assert seen == []

    before = counted("busbar_store_events_total", service="policy")
    await store.transact(body)
    assert seen == [1]
    assert counted("busbar_store_events_total", service="policy") == before + 1


async def test_what_a_transaction_measures_is_forgotten_when_it_fails(store: Store) -> None:
    seen: list[float] = []

    async def body(tx: Transaction) -> None:
        tx.measure(seen.append, 1)
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        await store.transact(body)
    assert seen == []


async def test_events_are_counted_when_they_are_published(
    store: Store, publisher: RecordingPublisher, clock: ManualClock
) -> None:
    before = counted("busbar_relay_events_total", service="policy")
    await append(store, "s", 1, 2, 3)
    await drain(relay_of(store, publisher, clock))
    assert counted("busbar_relay_events_total", service="policy") == before + 3
