"""Only one relay publishes at a time, and sequences do not change when another takes over."""

import pytest

from busbar.kernel.errors import Fenced
from busbar.messages.notification import Unsubscribed
from busbar.runtime.core.bus import BusUnavailable
from busbar.runtime.outbox.relay import Relay
from busbar.runtime.store import Store
from busbar.runtime.store.parts.outbox import BatchLimits
from busbar.testing import ManualClock, RecordingPublisher
from support import eventually
from support.runtime import (
    append,
    drain,
    expected_facts,
    facts_on,
    heads_on,
    links,
    marks_of,
    relay_of,
    relaying,
)


async def test_events_keep_their_numbers_when_it_dies_between_stamping_and_publishing(
    store: Store, relay: Relay, publisher: RecordingPublisher, clock: ManualClock
) -> None:
    await append(store, "a", 1, 2)
    publisher.fail = 1
    with pytest.raises(BusUnavailable):
        await relay.step()
    await append(store, "a", 3)
    clock.advance(5)
    successor = relay_of(store, publisher, clock, "successor")
    await drain(successor)
    assert facts_on(publisher) == expected_facts(1, 2, 3)
    clock.advance(1)
    await drain(successor)
    assert heads_on(publisher)[-1].digest == links(publisher.of(Unsubscribed.TYPE))[-1]


async def test_events_keep_their_numbers_when_it_dies_between_publishing_and_marking(
    store: Store, relay: Relay, publisher: RecordingPublisher, clock: ManualClock
) -> None:
    await append(store, "a", 1, 2)
    publisher.lose = 1
    with pytest.raises(BusUnavailable):
        await relay.step()
    assert await marks_of(store) == {}
    await append(store, "a", 3)
    clock.advance(5)
    await drain(relay_of(store, publisher, clock, "successor"))
    again = facts_on(publisher)
    assert again == expected_facts(1, 2) + expected_facts(1, 2, 3)
    ids = [envelope.id for envelope in publisher.of(Unsubscribed.TYPE)]
    assert ids[:2] == ids[2:4]
    bodies = [(record.headers, record.value) for record in publisher.records]
    assert bodies[:2] == bodies[2:4]  # byte for byte, so that any inbox knows them
    assert await marks_of(store) == {"published": 3}


async def test_what_is_acknowledged_is_marked_with_what_is_stamped_next(
    store: Store, relay: Relay
) -> None:
    for number in (1, 2):
        await append(store, "a", number)
        await relay.step()
    assert await marks_of(store) == {"published": 1}
    await relay.step()
    assert await marks_of(store) == {"published": 2}


async def test_much_that_is_owed_is_marked_on_the_way(
    store: Store, publisher: RecordingPublisher, clock: ManualClock
) -> None:
    relay = relay_of(store, publisher, clock, limits=BatchLimits(events=4))
    await append(store, "a", 1, 2, 3, 4)
    publisher.fail = 1
    with pytest.raises(BusUnavailable):
        await relay.step()
    clock.advance(5)
    successor = relay_of(store, publisher, clock, "successor", limits=BatchLimits(events=1))
    for marked in ({}, {"published": 1}, {"published": 2}, {"published": 3}):
        assert await successor.step() == 1
        assert await marks_of(store) == marked


async def test_a_restart_goes_on_after_what_was_acknowledged(
    store: Store, relay: Relay, publisher: RecordingPublisher, clock: ManualClock
) -> None:
    await append(store, "a", 1, 2)
    await drain(relay)
    await append(store, "a", 3)
    clock.advance(5)
    await drain(relay_of(store, publisher, clock, "successor"))
    assert facts_on(publisher) == expected_facts(1, 2, 3)


async def test_of_two_relays_on_one_store_only_the_holder_of_the_lease_publishes(
    store: Store, clock: ManualClock
) -> None:
    here, there = RecordingPublisher(), RecordingPublisher()
    first, second = relay_of(store, here, clock, "a"), relay_of(store, there, clock, "b")
    for number in range(1, 5):
        await append(store, "a", number)
        await drain(first)
        await drain(second)
        clock.advance(3)  # the holder extends its lease by working
    assert facts_on(here) == expected_facts(1, 2, 3, 4)
    assert there.records == []


async def test_an_idle_holder_keeps_its_lease(store: Store, clock: ManualClock) -> None:
    here, there = RecordingPublisher(), RecordingPublisher()
    first, second = relay_of(store, here, clock, "a"), relay_of(store, there, clock, "b")
    await drain(first)
    for _ in range(6):
        clock.advance(3)
        await drain(first)
        await drain(second)
    await append(store, "a", 1)
    await drain(second)
    assert there.records == []


async def test_a_relay_that_slept_past_its_lease_is_fenced(
    store: Store, clock: ManualClock
) -> None:
    here, there = RecordingPublisher(), RecordingPublisher()
    first, second = relay_of(store, here, clock, "a"), relay_of(store, there, clock, "b")
    await append(store, "a", 1)
    await drain(first)
    clock.advance(5)
    await append(store, "a", 2)
    await drain(second)
    await append(store, "a", 3)
    with pytest.raises(Fenced):
        await first.step()
    await drain(second)
    assert facts_on(here) == expected_facts(1)
    assert facts_on(there) == expected_facts(2, 3, first=2)


async def test_a_relay_that_lost_its_lease_while_publishing_cannot_mark_it(
    store: Store, clock: ManualClock
) -> None:
    here, there = RecordingPublisher(), RecordingPublisher()
    first, second = relay_of(store, here, clock, "a"), relay_of(store, there, clock, "b")

    async def paused_for_long() -> None:
        here.before = None
        clock.advance(5)
        assert not there.records
        await append(store, "a", 2)
        await drain(second)

    await append(store, "a", 1)
    here.before = paused_for_long
    await first.step()
    with pytest.raises(Fenced):
        await first.step()
    assert facts_on(there) == expected_facts(1, 2)
    assert facts_on(here) == expected_facts(1)  # published twice, under the same number
    assert await marks_of(store) == {"published": 2}


async def test_a_fenced_relay_waits_for_its_turn_again(store: Store, clock: ManualClock) -> None:
    here, there = RecordingPublisher(), RecordingPublisher()
    first, second = relay_of(store, here, clock, "a"), relay_of(store, there, clock, "b")
    await drain(first)
    clock.advance(5)
    await drain(second)
    async with relaying(first):
        await append(store, "a", 1)
        await eventually(lambda: first._claim is None, what="being fenced")
        clock.advance(5)
        await append(store, "a", 2)
        await eventually(lambda: facts_on(here) == expected_facts(1, 2))
    assert there.records == []
