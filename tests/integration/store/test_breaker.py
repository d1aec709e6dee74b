"""Tests of the circuit breaker, and of facts that this release cannot read."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.messages import topics
from busbar.messages.notification import DeleteSubscription, Unsubscribed
from busbar.messages.resource import ResourceDeleted
from busbar.runtime.consume.breaker import Breaker
from busbar.runtime.core.backoff import Backoff
from busbar.runtime.core.bus import Record
from busbar.runtime.store import Store
from busbar.testing import ManualClock
from support import eventually
from support.metrics import counting
from support.runtime import (
    Toy,
    record,
    unreadable,
)

FACTS = topics.FACTS_RESOURCE


def broken_fact(offset: int, key: bytes = b"payments/one") -> Record:
    return Record(FACTS, 0, offset, 0, key, b"{", [("x", None)])


@pytest.fixture
def reader(store: Store, clock: ManualClock) -> Toy:
    """A service that reads facts."""
    return Toy(store, clock, asked_on=FACTS)


async def test_an_unreadable_fact_parks_its_key_and_no_other(reader: Toy) -> None:
    await reader.engine.handle_batch(
        [
            broken_fact(0),
            record(1, topic=FACTS, key="payments/one"),
            record(2, topic=FACTS, key="payments/two"),
        ]
    )
    assert await reader.done() == [2]
    assert [(one.offset, one.ordering_key) for one in await reader.dead()] == [
        (0, "payments/one"),
        (1, "payments/one"),
    ]


async def test_an_unreadable_intent_parks_nothing(toy: Toy) -> None:
    garbage = Record(DeleteSubscription.TOPIC, 0, 0, 0, b"payments/one", b"{", [])
    await toy.engine.handle_batch([garbage, record(1, key="payments/one")])
    assert await toy.done() == [1]
    assert [one.ordering_key for one in await toy.dead()] == [None]


async def test_a_fact_of_an_unknown_version_parks_its_key(reader: Toy) -> None:
    later = DeleteSubscription.TYPE.replace(".v1", ".v2")
    await reader.engine.handle_batch(
        [
            record(0, topic=FACTS, key="payments/one", type_=later),
            record(1, topic=FACTS, key="payments/one"),
            record(2, topic=FACTS, key="payments/two"),
        ]
    )
    assert await reader.done() == [2]
    dead_letter, _ = await reader.dead()
    assert dead_letter.reason == "unknown_version"
    assert dead_letter.detail == (
        f"policy knows {DeleteSubscription.TYPE}, not {later}: deploy a release that knows it; "
        "it is then retried"
    )


@pytest.mark.parametrize("type_", ["busbar.unknown.arrived.v1", "busbar.subscription.deleted.v2"])
async def test_unsubscribed_types_are_skipped_and_counted(reader: Toy, type_: str) -> None:
    batch = [record(0, topic=FACTS, type_=type_), record(1, topic=FACTS)]
    with counting("busbar_consumer_records_total", "outcome", reader.service.name) as found:
        await reader.engine.handle_batch(batch)
    assert await reader.done() == [1]
    assert await reader.dead() == []
    assert found == {"handled": 1, "skipped": 1}


def unsubscribed(offset: int, key: str, *, types: int = 1) -> Record:
    """An unreadable fact of a type on the topic that the reader does not handle."""
    headers: list[tuple[str, bytes | None]] = [("ce_type", ResourceDeleted.TYPE.encode())] * types
    return Record(FACTS, 0, offset, 0, key.encode(), b"{", headers)


async def test_unsubscribed_facts_are_skipped_even_if_unreadable(reader: Toy) -> None:
    batch = [unsubscribed(0, "payments/one"), record(1, topic=FACTS)]
    with counting("busbar_consumer_records_total", "outcome", reader.service.name) as found:
        await reader.engine.handle_batch(batch)
    assert await reader.done() == [1]
    assert await reader.dead() == []
    assert found == {"handled": 1, "skipped": 1}


async def test_a_type_of_another_topic_is_read(reader: Toy) -> None:
    """An event on the wrong topic is an error of its producer, and is reported."""
    theirs = Record(
        FACTS, 0, 0, 0, b"payments/one", b"{", [("ce_type", Unsubscribed.TYPE.encode())]
    )
    await reader.engine.handle_batch([theirs])
    assert [one.ordering_key for one in await reader.dead()] == ["payments/one"]


async def test_a_fact_whose_type_is_not_plain_is_read(reader: Toy) -> None:
    """It could be for this service, so it parks its key like any unreadable fact."""
    await reader.engine.handle_batch([unsubscribed(0, "payments/one", types=2)])
    assert [one.ordering_key for one in await reader.dead()] == ["payments/one"]


async def test_facts_for_others_wait_behind_what_is_parked(reader: Toy) -> None:
    await reader.engine.handle_batch([broken_fact(0), unsubscribed(1, "payments/one")])
    assert [(one.offset, one.ordering_key) for one in await reader.dead()] == [
        (0, "payments/one"),
        (1, "payments/one"),
    ]


async def test_a_consumer_that_fails_at_everything_stops_after_a_hundred(toy: Toy) -> None:
    for number in range(300):
        toy.broken[f"s{number}"] = ArithmeticError("a bad release")
    toy.attempts = 1
    engine = toy.restarted()
    batch = [record(number) for number in range(300)]
    task = asyncio.create_task(engine.handle_batch(batch))
    await eventually(lambda: engine.stalled, within=60, what="the stop")
    assert len(await toy.dead()) == 100
    assert await toy.offsets() == {(DeleteSubscription.TOPIC, 0): 100}
    assert str(engine.stalled).startswith("stopped, because 100 messages in a row failed")
    await engine.stop()
    await task
    assert len(await toy.dead()) == 100
    toy.broken.clear()
    await toy.restarted().handle_batch(batch)
    assert await toy.done() == list(range(100, 300))


async def test_facts_that_cannot_be_read_stop_the_consumer_as_well(reader: Toy) -> None:
    batch = [broken_fact(offset, f"k{offset}".encode()) for offset in range(150)]
    task = asyncio.create_task(reader.engine.handle_batch(batch))
    await eventually(lambda: reader.engine.stalled, within=60, what="the stop")
    assert len(await reader.dead()) == 100
    await reader.engine.stop()
    await task


async def test_no_producer_can_stop_the_platform_with_invalid_records(toy: Toy) -> None:
    await toy.engine.handle_batch([unreadable(offset) for offset in range(300)])
    assert toy.engine.stalled is None
    await toy.engine.handle_batch([record(300)])
    assert await toy.done() == [300]


def test_a_share_of_failures_stops_only_where_there_is_enough_to_judge_by() -> None:
    breaker = Breaker(in_a_row=1000)
    breaker.note(handled=79, failed=20, now=0)
    assert breaker.verdict(handled=0, failed=1, now=1) is None
    breaker.note(handled=0, failed=1, now=1)
    assert breaker.verdict(handled=0, failed=1, now=2) == (
        "22 of the last 101 messages failed within 60 seconds"
    )
    assert breaker.verdict(handled=0, failed=1, now=61) is None


def test_one_success_ends_a_row_of_failures() -> None:
    breaker = Breaker(in_a_row=3, share=1)
    breaker.note(handled=0, failed=3, now=0)
    assert breaker.verdict(handled=0, failed=1, now=0) == "3 messages in a row failed"
    breaker.note(handled=1, failed=0, now=0)
    assert breaker.verdict(handled=0, failed=1, now=0) is None


@given(
    steps=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.floats(0, 40)), max_size=40)
)
def test_the_share_is_always_that_of_the_last_minute(steps: list[tuple[int, int, float]]) -> None:
    breaker, now = Breaker(in_a_row=10**9, least=10, share=0.2), 0.0
    seen: list[tuple[float, int, int]] = []
    for handled, failed, wait in steps:
        now += wait
        stops = breaker.verdict(handled=handled, failed=failed, now=now) is not None
        # The breaker keeps whole seconds, so events about a minute old may or may not count.
        most, least = (
            [(h, f) for at, h, f in [*seen, (now, handled, failed)] if at > now - window]
            for window in (61.0, 59.0)
        )
        verdicts = set()
        for known in (most, least):
            bad, all_ = sum(f for _, f in known), sum(h + f for h, f in known)
            verdicts.add(bool(failed) and all_ > 10 and bad > 0.2 * all_)
        if len(verdicts) == 1:
            assert stops in verdicts
        breaker.note(handled=handled, failed=failed, now=now)
        seen.append((now, handled, failed))


@given(failures=st.integers(1, 10_000), jitter=st.floats(0, 1, exclude_max=True))
def test_a_wait_doubles_up_to_its_longest_and_half_of_it_is_left_to_chance(
    failures: int, jitter: float
) -> None:
    wait = Backoff(first=0.2, longest=10, jitter=lambda: jitter).after(failures)
    whole = min(0.2 * 2.0 ** min(failures - 1, 60), 10)
    assert whole / 2 <= wait <= whole
    assert wait == pytest.approx(whole / 2 * (1 + jitter))
