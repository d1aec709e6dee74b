"""The relay: commit order, gapless sequences, and verifiable heads."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Literal

import pytest
from sqlalchemy import select, update

from busbar.kernel.clock import parse_time
from busbar.messages.delivery import HeadPublished
from busbar.messages.notification import DeleteSubscription, Unsubscribed
from busbar.messages.topics import FACTS_HEAD
from busbar.runtime.outbox.events import GENESIS, chain
from busbar.runtime.outbox.relay import Relay, RelayTiming
from busbar.runtime.store import Store, StoreTransaction, StoreUnavailable
from busbar.runtime.store.parts.outbox import BatchLimits
from busbar.runtime.store.schema import tables
from busbar.testing import ManualClock, RecordingPublisher
from support import eventually
from support.runtime import (
    CAUSE,
    SOURCE,
    append,
    drain,
    expected_facts,
    facts_on,
    heads_on,
    links,
    relay_of,
    relaying,
)
from support.sql import run_sql


async def test_events_are_published_in_commit_order_with_numbers_from_one(
    store: Store, relay: Relay, publisher: RecordingPublisher
) -> None:
    await append(store, "b", 1, 2)
    await append(store, "a", 3)
    await drain(relay)
    await append(store, "b", 4)
    await drain(relay)
    assert facts_on(publisher) == expected_facts(1, 2, 3, 4)


async def test_numbers_have_no_gaps_across_batches_and_private_events(
    store: Store,
    publisher: RecordingPublisher,
    clock: ManualClock,
) -> None:
    relay = relay_of(store, publisher, clock, limits=BatchLimits(events=3))

    async def private(tx: StoreTransaction) -> None:
        tx.caused_by(CAUSE)
        await tx.append_raw("p", id_="p", type_="private", data="{}", metadata={})

    await append(store, "a", 1, 2)
    await store.transact(private)
    await append(store, "a", 3, 4, 5, 6, 7)
    await drain(relay)
    assert facts_on(publisher) == expected_facts(1, 2, 3, 4, 5, 6, 7)
    assert [len(batch) for batch in publisher.batches] == [3, 3, 1, 1]  # the last is the head


async def test_private_events_are_scanned_once(
    store: Store, relay: Relay, publisher: RecordingPublisher
) -> None:
    """Audit has millions of private events: a scan must not start at the first one."""

    async def private(tx: StoreTransaction) -> None:
        tx.caused_by(CAUSE)
        for number in range(5):
            await tx.append_raw("p", id_=f"p{number}", type_="private", data="{}", metadata={})

    await append(store, "a", 1)
    await store.transact(private)
    await drain(relay)
    assert relay._scanned == await store.last_position()
    await append(store, "a", 2)
    await drain(relay)
    assert facts_on(publisher) == expected_facts(1, 2)
    assert relay._scanned == await store.last_position()


async def test_a_record_says_all_that_is_known_about_its_event(
    store: Store, relay: Relay, publisher: RecordingPublisher
) -> None:
    (id_,) = await append(store, "a", 1)
    await drain(relay)
    (envelope,) = publisher.of(Unsubscribed.TYPE)
    assert publisher.records[0].topic == Unsubscribed.TOPIC
    assert publisher.records[0].key == b"a"
    assert (envelope.id, envelope.source, envelope.subject) == (id_, "/busbar/policy", "a")
    assert envelope.time == store.clock.now()
    assert envelope.extensions == {
        "correlationid": "correlation",
        "causationid": "a-1",
        "authtype": "service_account",
        "authid": "policy",
        "partitionkey": "a",
        "relay": "policy",
        "sequence": "00000000000000000001",
    }


async def test_a_fact_names_the_principal_that_asked_for_what_it_follows_from(
    store: Store, relay: Relay, publisher: RecordingPublisher
) -> None:
    async def body(tx: StoreTransaction) -> None:
        tx.caused_by(CAUSE._replace(onbehalfof="payments-ci"))
        await tx.append("s", [Unsubscribed.model_validate(Unsubscribed.EXAMPLES[0])], key="a")

    await store.transact(body)
    await drain(relay)
    fact, head = publisher.envelopes
    assert fact.extensions["onbehalfof"] == "payments-ci"
    assert (fact.extensions["authtype"], fact.extensions["authid"]) == ("service_account", "policy")
    assert head.type == HeadPublished.TYPE
    assert head.extensions == {"authtype": "service_account", "authid": "policy"}


async def test_an_intent_that_is_passed_on_keeps_the_identity_its_producer_gave_it(
    store: Store, relay: Relay, publisher: RecordingPublisher
) -> None:
    async def body(tx: StoreTransaction) -> None:
        tx.caused_by(CAUSE)
        await tx.append_raw(
            "intents",
            id_="row",
            type_=DeleteSubscription.TYPE,
            topic=DeleteSubscription.TOPIC,
            key="payments",
            data='{"team":"payments","name":"x"}',
            metadata={
                "id": "theirs",
                "source": SOURCE,
                "time": "2020-01-01T00:00:00.000000Z",
                "extensions": {"correlationid": "theirs too"},
            },
        )

    await store.transact(body)
    await drain(relay)
    envelope = publisher.envelopes[0]
    assert (envelope.id, envelope.source) == ("theirs", SOURCE)
    assert envelope.time is not None
    assert envelope.time.year == 2020
    assert envelope.extensions["correlationid"] == "theirs too"
    assert "authid" not in envelope.extensions  # the producer says who asks, and not the relay
    assert envelope.extensions["sequence"] == "00000000000000000001"


async def test_nothing_is_published_twice_in_normal_operation(
    store: Store, relay: Relay, publisher: RecordingPublisher
) -> None:
    for number in range(1, 8):
        await append(store, "a", number)
        await drain(relay)
        await drain(relay)
    identities = [(envelope.source, envelope.id) for envelope in publisher.envelopes]
    # Seven facts and one head: no time has passed, so no second head is due.
    assert len(identities) == len(set(identities)) == 8


async def test_a_head_carries_count_and_digest_that_an_outsider_computes_again(
    store: Store, relay: Relay, publisher: RecordingPublisher, clock: ManualClock
) -> None:
    for number in (1, 2, 3):
        await append(store, "a", number, number + 10)
        await drain(relay)
        clock.advance(1)
    expected = links(publisher.of(Unsubscribed.TYPE))
    assert [
        (head.relay, head.sequence, head.count, head.digest) for head in heads_on(publisher)
    ] == [("policy", count, count, expected[count]) for count in (2, 4, 6)]
    assert {record.topic for record in publisher.records} == {Unsubscribed.TOPIC, FACTS_HEAD}


async def test_the_digest_changes_with_every_part_of_every_event(
    store: Store, relay: Relay, publisher: RecordingPublisher
) -> None:
    await append(store, "a", 1, 2, 3)
    await drain(relay)
    first, second, third = publisher.of(Unsubscribed.TYPE)
    whole = links([first, second, third])[-1]
    parts = (first.source, first.id, first.type, first.data)
    forged = [chain(GENESIS, *(*parts[:n], "forged", *parts[n + 1 :])) for n in range(4)]
    assert len({links([first])[-1], *forged}) == 5
    for other in ([first, third], [second, first, third], [first, second, third, third]):
        assert links(other)[-1] != whole


async def test_a_clock_that_is_set_back_does_not_delay_a_head(
    store: Store, relay: Relay, publisher: RecordingPublisher, clock: ManualClock
) -> None:
    await append(store, "s", 1)
    await drain(relay)
    clock.advance(-3600)
    await append(store, "s", 2)
    await drain(relay)
    assert [head.sequence for head in heads_on(publisher)] == [1, 2]


async def test_a_clock_that_is_set_back_does_not_let_the_lease_expire(
    store: Store, relay: Relay, clock: ManualClock
) -> None:
    await append(store, "s", 1)
    await drain(relay)
    clock.advance(-3600)
    await relay.step()
    async with store.reading() as tx:
        expires = await run_sql(tx, select(tables.tasks.c.expires))
    assert parse_time(str(expires.scalar())) <= clock.now() + timedelta(seconds=5)


async def test_a_clock_that_is_set_back_does_not_delay_a_successor(
    store: Store, relay: Relay, publisher: RecordingPublisher, clock: ManualClock
) -> None:
    await append(store, "s", 1)
    await drain(relay)
    successor = relay_of(store, publisher, clock, holder="successor")
    assert not await successor.step()

    async def end_lease(tx: StoreTransaction) -> None:
        await run_sql(tx, update(tables.tasks).values(holder=None, expires=None))

    await store.transact(end_lease)
    clock.advance(-3600)
    await append(store, "s", 2)
    await drain(successor)
    assert facts_on(publisher) == expected_facts(1, 2)


async def test_no_head_is_published_before_everything_it_counts(
    store: Store,
    publisher: RecordingPublisher,
    clock: ManualClock,
) -> None:
    relay = relay_of(store, publisher, clock, limits=BatchLimits(events=2))
    await append(store, "a", 1, 2, 3, 4, 5)
    await drain(relay)
    published = 0
    for batch in publisher.envelopes:
        if batch.type == HeadPublished.TYPE:
            assert batch.data["sequence"] == published
        else:
            published += 1
    assert heads_on(publisher)[-1].sequence == 5


def _times(clock: ManualClock, count: int) -> Callable[[], bool]:
    return lambda: len(clock.slept) == count


async def test_a_failing_bus_is_tried_again_until_it_takes_everything(
    store: Store, publisher: RecordingPublisher
) -> None:
    clock = ManualClock(auto_advance=False)
    relay = relay_of(store, publisher, clock)
    await append(store, "a", 1, 2)
    publisher.fail = 3
    async with relaying(relay):
        for failures in (1, 2, 3):
            await eventually(_times(clock, failures))
            assert not relay.healthy
            assert facts_on(publisher) == []
            clock.advance(clock.slept[-1])
        await eventually(lambda: relay.healthy)
        assert facts_on(publisher) == expected_facts(1, 2)
        await eventually(_times(clock, 4), what="a relay that gathers after a small batch")
        clock.advance(clock.slept[-1])
        publisher.fail = 1
        await append(store, "a", 3)
        await eventually(lambda: not relay.healthy)
        clock.advance(1)
        await eventually(lambda: relay.healthy)
    assert facts_on(publisher) == expected_facts(1, 2, 3)


async def test_it_is_healthy_as_soon_as_publishing_works_again_even_with_a_backlog(
    store: Store,
    publisher: RecordingPublisher,
    clock: ManualClock,
) -> None:
    await append(store, "a", 1, 2, 3)
    relay = relay_of(store, publisher, clock, limits=BatchLimits(events=1))
    blocked = asyncio.Event()

    async def second_batch_hangs() -> None:
        if publisher.batches:
            blocked.set()
            await asyncio.Event().wait()

    publisher.before = second_batch_hangs
    async with relaying(relay):
        await blocked.wait()
        assert relay.healthy


async def test_an_unreachable_store_is_waited_for(
    store: Store, publisher: RecordingPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock(auto_advance=False)
    relay = relay_of(store, publisher, clock)
    await append(store, "a", 1)

    async def unreachable() -> bool:
        raise StoreUnavailable("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(relay, "_next", unreachable)
        async with relaying(relay):
            await eventually(lambda: len(clock.slept) == 1)
            assert not relay.healthy
            patch.undo()
            clock.advance(1)
            await eventually(lambda: relay.healthy)
    assert facts_on(publisher) == expected_facts(1)


async def test_large_events_are_published_in_their_place(
    store: Store, publisher: RecordingPublisher, clock: ManualClock
) -> None:
    """Events are read only after their lengths show how many fit into memory."""
    limits = BatchLimits(events=5, chars=9_000)
    assert limits.small == 1_800
    relay = relay_of(store, publisher, clock, limits=limits)

    async def large(tx: StoreTransaction) -> None:
        tx.caused_by(CAUSE)
        for number, size in enumerate((10, 5_000, 3_000, 20_000, 10), 1):
            await tx.append_raw(
                "s",
                id_=f"large-{number}",
                type_="large",
                topic=Unsubscribed.TOPIC,
                key="a",
                data=f'{{"text":"{"x" * size}"}}',
                metadata={"source": "/busbar/policy"},
            )

    await store.transact(large)
    await drain(relay)
    sizes = [
        [len(record.value or b"") for record in batch]
        for batch in publisher.batches
        if batch[0].topic == Unsubscribed.TOPIC
    ]
    # Plus the eleven characters of {"text":""}.
    assert sizes == [[21, 5_011, 3_011], [20_011], [21]]


async def test_a_commit_wakes_it(
    store: Store, publisher: RecordingPublisher, clock: ManualClock
) -> None:
    relay = relay_of(store, publisher, clock, timing=RelayTiming(idle=3600))
    async with relaying(relay):
        await eventually(lambda: relay.healthy)
        await append(store, "a", 1)
        await eventually(lambda: facts_on(publisher) == expected_facts(1))


async def test_a_relay_that_is_cancelled_while_it_is_woken_stops(relay: Relay) -> None:
    """asyncio.wait_for swallows such a cancellation before Python 3.12."""
    idle = asyncio.Event()

    class Wake(asyncio.Event):
        async def wait(self) -> Literal[True]:
            idle.set()
            return await super().wait()

    relay._wake = Wake()
    task = asyncio.create_task(relay.run())
    await idle.wait()
    relay._wake.set()
    await asyncio.sleep(0)  # the inner wait is over, the outer one does not know yet
    task.cancel()
    await asyncio.wait({task}, timeout=2)
    assert task.done()
