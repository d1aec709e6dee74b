"""The state cache: a cached state equals that of a complete read."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update

from busbar.messages.base import Fact
from busbar.runtime.store import Cause, Store, StoreTransaction
from busbar.runtime.store.model.state_cache import CachedState, StateCache
from busbar.runtime.store.schema import tables
from support.runtime import (
    NOTHING,
    SOURCE,
    append,
    collect,
    fact,
    facts_of,
    numbers,
)
from support.sql import run_sql

STREAMS = ("a", "b")
_numbers = count()
Step = tuple[str, str, int]


def same(state: tuple[Fact, ...], event: Fact) -> tuple[Fact, ...]:
    """Fold as `collect` does, but as another function."""
    return collect(state, event)


async def act(store: Store, number: int, steps: Sequence[Step], *, fails: bool) -> None:
    """Run loads, appends and writes in one transaction, which is rolled back if it ``fails``."""
    before = {stream: await whole(store, stream) for stream in STREAMS}

    async def body(tx: StoreTransaction) -> None:
        expected = {stream: list(known) for stream, known in before.items()}
        tx.caused_by(Cause(SOURCE, str(number), "c"))
        for what, stream, value in steps:
            match what:
                case "load":
                    loaded = await tx.load(stream, NOTHING, collect)
                    assert numbers(loaded) == expected[stream]
                case "append":
                    await tx.append(stream, [fact(value)])
                    expected[stream].append(value)
                case "flush":
                    await tx.flush()
                case _:
                    await tx.fetch(STREAMS)
        if fails:
            raise ArithmeticError

    try:
        await store.transact(body)
    except ArithmeticError:
        return


async def whole(store: Store, stream: str) -> list[int]:
    """Return the state that a reader without a cache finds."""
    store._states, kept = StateCache(), store._states
    try:
        return await facts_of(store, stream)
    finally:
        store._states = kept


STEP = st.tuples(
    st.sampled_from(["load", "append", "flush", "fetch"]),
    st.sampled_from(STREAMS),
    st.integers(1, 9),
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lives=st.lists(st.tuples(st.lists(STEP, max_size=6), st.booleans()), max_size=6))
async def test_a_kept_state_is_what_reading_everything_gives(
    store: Store, lives: list[tuple[list[Step], bool]]
) -> None:
    for steps, fails in lives:
        await act(store, next(_numbers), steps, fails=fails)
        for stream in STREAMS:
            assert await facts_of(store, stream) == await whole(store, stream)


async def test_only_what_is_new_is_read_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await append(store, "a", *range(1, 50))
    assert await facts_of(store, "a") == list(range(1, 50))
    asked: list[dict[str, int]] = []
    bulk = store._dialect.statements
    read_streams = bulk.read_streams

    async def watched(connection: Any, since: Any) -> Any:
        asked.append(dict(since))
        return await read_streams(connection, since)

    monkeypatch.setattr(bulk, "read_streams", watched)

    async def more(tx: StoreTransaction) -> list[int]:
        return numbers(await tx.load("a", NOTHING, collect))

    assert await store.transact(more) == list(range(1, 50))
    assert await store.transact(more) == list(range(1, 50))
    assert asked[-1] == {"a": 49}


async def test_what_was_written_is_loaded_although_it_was_fetched_since(store: Store) -> None:
    """This happens when the dead letters of one ordering key are retried one after the other."""

    async def one_by_one(tx: StoreTransaction) -> list[list[int]]:
        states = []
        for number in range(3):
            tx.caused_by(Cause(SOURCE, str(number), "c"))
            await tx.fetch(["a"])
            states.append(numbers(await tx.load("a", NOTHING, collect)))
            await tx.append("a", [fact(number)])
            await tx.flush()
        return states

    assert await store.transact(one_by_one) == [[], [0], [0, 1]]


@pytest.mark.parametrize("flushes", [0, 1, 2])
async def test_what_a_transaction_appends_is_in_the_state_that_it_leaves(
    store: Store, flushes: int
) -> None:
    async def load_and_append(tx: StoreTransaction) -> None:
        tx.caused_by(Cause(SOURCE, "one", "c"))
        await tx.load("a", NOTHING, collect)
        for number in range(3):
            await tx.append("a", [fact(number)])
            if number < flushes:
                await tx.flush()

    await store.transact(load_and_append)
    kept = store._states.get("a")
    assert kept is not None
    assert kept.version == 3
    (newest,) = (event for event in await store.events() if event.version == 3)
    assert kept.id == newest.id
    assert await facts_of(store, "a") == [0, 1, 2]


async def test_a_database_that_was_set_back_is_noticed(store: Store) -> None:
    """A backup was restored under a running process, whose cached events no longer exist."""
    await append(store, "a", 1, 2, 3)

    async def load(tx: StoreTransaction) -> list[int]:
        return numbers(await tx.load("a", NOTHING, collect))

    async def set_back(tx: StoreTransaction) -> None:
        await run_sql(tx, delete(tables.events).where(tables.events.c.version > 1))

    assert await store.transact(load) == [1, 2, 3]
    await store.transact(set_back)
    assert await store.transact(load) == [1]


async def test_another_event_under_the_same_version_is_noticed(store: Store) -> None:
    await append(store, "a", 1, 2)

    async def load(tx: StoreTransaction) -> list[int]:
        return numbers(await tx.load("a", NOTHING, collect))

    async def rewrite(tx: StoreTransaction) -> None:
        theirs = {"id": "theirs", "data": fact(7).model_dump_json()}
        await run_sql(
            tx, update(tables.events).where(tables.events.c.version == 2).values(**theirs)
        )

    assert await store.transact(load) == [1, 2]
    await store.transact(rewrite)
    assert await store.transact(load) == [1, 7]


async def test_each_way_of_folding_has_its_own_state(store: Store) -> None:
    await append(store, "a", 1)

    async def both(tx: StoreTransaction) -> list[list[int]]:
        first = numbers(await tx.load("a", NOTHING, collect))
        return [first, numbers(await tx.load("a", (*NOTHING, fact(9)), same))]

    assert await store.transact(both) == [[1], [9, 1]]
    assert await store.transact(both) == [[1], [9, 1]]


@pytest.mark.parametrize("meanwhile", ["forgotten", "newer"])
async def test_a_state_that_changes_hands_between_reading_and_folding_does_no_harm(
    store: Store, meanwhile: str
) -> None:
    """The rows follow the state cached at that time; another transaction may evict it."""
    await append(store, "a", 1, 2)

    async def load(tx: StoreTransaction) -> list[int]:
        return numbers(await tx.load("a", NOTHING, collect))

    assert await store.transact(load) == [1, 2]

    async def disturbed(tx: StoreTransaction) -> list[int]:
        await tx.fetch(["a"])
        if meanwhile == "forgotten":
            store._states._states.clear()
        else:
            store._states.put("a", CachedState(collect, 3, "another", (*NOTHING, fact(9))))
        return await load(tx)

    assert await store.transact(disturbed) == [1, 2]


def test_what_was_not_used_for_the_longest_time_is_forgotten() -> None:
    states = StateCache(limit=2)
    for stream in ("a", "b"):
        states.put(stream, CachedState(collect, 1, stream, ()))
    assert states.get("a") is not None
    states.put("c", CachedState(collect, 1, "c", ()))
    assert states.get("b") is None
    assert states.get("a") is not None
    assert states.get("c") is not None


@pytest.mark.parametrize("when", ["read", "appended"])
async def test_the_state_of_a_stream_with_large_events_is_not_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Otherwise one user could fill the memory of every process with large events."""
    size = len(fact(1).model_dump_json())
    monkeypatch.setattr(
        "busbar.runtime.store.model.state_cache.MAX_EVENT_CHARS",
        size if when == "read" else size - 1,
    )

    async def go_on(tx: StoreTransaction) -> list[int]:
        tx.caused_by(Cause(SOURCE, when, "c"))
        await tx.load("a", NOTHING, collect)
        await tx.append("a", [fact(3)])
        return numbers(await tx.load("a", NOTHING, collect))

    if when == "read":
        await append(store, "a", 1, 10_000)
    assert await store.transact(go_on) == ([1, 10_000, 3] if when == "read" else [3])
    assert store._states.get("a") is None
    assert await facts_of(store, "a") == ([1, 10_000, 3] if when == "read" else [3])
