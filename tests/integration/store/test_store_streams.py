"""Streams: append-only, versioned, all or nothing."""

import asyncio
import json

import pytest
from sqlalchemy import select

from busbar.kernel.errors import Conflict
from busbar.kernel.ids import event_id
from busbar.messages.notification import Unsubscribed
from busbar.runtime.store import Cause, Document, Store, StoreTransaction
from busbar.runtime.store.schema import tables
from busbar.testing import ManualClock
from support.runtime import (
    CAUSE,
    NOTHING,
    SOURCE,
    append,
    collect,
    fact,
    facts_of,
    numbers,
)
from support.sql import run_sql


async def rows(store: Store, table: str) -> list[dict[str, object]]:
    async with store.reading() as tx:
        found = await run_sql(tx, select(tables.metadata.tables[table]))
        return [dict(row._mapping) for row in found]


async def test_what_is_appended_is_loaded_in_order(store: Store) -> None:
    await append(store, "a", 1, 2)
    await append(store, "b", 9)
    await append(store, "a", 3)
    assert await facts_of(store, "a") == [1, 2, 3]
    assert await facts_of(store, "b") == [9]
    assert await facts_of(store, "nowhere") == []


async def test_versions_of_a_stream_have_no_gaps_and_positions_follow_the_commits(
    store: Store,
) -> None:
    await append(store, "a", 1, 2)
    await append(store, "b", 3)
    await append(store, "a", 4)
    events = await store.events()
    assert [(event.stream, event.version) for event in events] == [
        ("a", 1),
        ("a", 2),
        ("b", 1),
        ("a", 3),
    ]
    assert [event.position for event in events] == sorted(event.position for event in events)
    assert [event.stream for event in await store.events(after=events[1].position)] == ["b", "a"]
    assert len(await store.events(limit=1)) == 1
    assert [event.version for event in await store.events(key="a")] == [1, 2, 3]
    assert await store.last_position() == events[-1].position


async def test_a_load_sees_what_the_same_transaction_has_appended(store: Store) -> None:
    await append(store, "a", 1)

    async def body(tx: StoreTransaction) -> list[int]:
        tx.caused_by(CAUSE)
        await tx.append("a", [fact(2)], key="a")
        await tx.append("b", [fact(8)], key="b")
        return numbers(await tx.load("a", NOTHING, collect))

    assert await store.transact(body) == [1, 2]
    assert [event.version for event in await store.events(key="a")] == [1, 2]


async def test_an_event_carries_its_cause_and_the_recorded_time(
    store: Store, clock: ManualClock
) -> None:
    clock.advance(1.5)
    async with store.reading() as tx:
        assert tx.now == clock.now()

    async def body(tx: StoreTransaction) -> None:
        tx.caused_by(Cause(SOURCE, "x", "the-correlation", "00-trace"))
        await tx.append("a", [fact()], key="k", subject="s")

    await store.transact(body)
    (event,) = await store.events()
    assert event.type == Unsubscribed.TYPE
    assert event.topic == Unsubscribed.TOPIC
    assert (event.correlation, event.causation, event.key) == ("the-correlation", "x", "k")
    assert event.recorded_time == "2026-01-01T12:00:01.500000Z"
    assert json.loads(event.metadata)["traceparent"] == "00-trace"
    assert json.loads(event.metadata)["subject"] == "s"


async def test_ids_are_computed_from_service_cause_and_index(store: Store) -> None:
    async def body(tx: StoreTransaction) -> list[str]:
        tx.caused_by(Cause(SOURCE, "x", "c"))
        first = await tx.append("a", [fact(1), fact(2)])
        second = await tx.append("b", [fact(3)])
        tx.caused_by(Cause(SOURCE, "y", "c"), index=7)
        return [*first, *second, *await tx.append("a", [fact(4)])]

    expected = [
        event_id("policy", SOURCE, id_, index)
        for id_, index in (("x", 0), ("x", 1), ("x", 2), ("y", 7))
    ]
    assert await store.transact(body) == expected
    assert [event.id for event in await store.events()] == expected


async def test_nothing_is_appended_without_a_cause(store: Store) -> None:
    async def body(tx: StoreTransaction) -> None:
        await tx.append("a", [fact()])

    with pytest.raises(RuntimeError, match="caused_by"):
        await store.transact(body)


async def test_two_writers_of_one_version_conflict_and_the_second_leaves_nothing(
    store: Store,
) -> None:
    """SQLite lets one writer in at a time, so the other writer is a row inside the transaction."""

    async def body(tx: StoreTransaction) -> None:
        tx.caused_by(CAUSE)
        assert await tx.load("a", NOTHING, collect) == ()
        await tx.append("other", [fact(5)])
        await tx.append("a", [fact(1)])
        await tx.documents.put(Document(kind="k", key="1", value={}))
        await tx.inbox.first_seen("policy", {(SOURCE, "x"): "d"})
        stolen = {"stream": "a", "version": 1, "id": "theirs", "type": "t", "data": "{}"}
        more = dict.fromkeys(
            ("time", "recorded_time", "correlation", "causation", "metadata"), "{}"
        )
        await run_sql(tx, tables.events.insert(), [{**stolen, **more}])

    with pytest.raises(Conflict, match=r"'a', 'other'"):
        await store.transact(body)
    for table in ("events", "documents", "inbox"):
        assert await rows(store, table) == []


async def test_an_append_after_a_load_expects_the_version_that_was_loaded(store: Store) -> None:
    await append(store, "a", 1)
    async with store.reading() as stale:
        stale.caused_by(CAUSE)
        await stale.load("a", NOTHING, collect)
        await append(store, "a", 2)
        await stale.append("a", [fact(3)])
        assert stale._versions == {"a": 1}  # so it gets a version that is taken by now

    async def body(tx: StoreTransaction) -> None:
        tx._versions, tx._pending = dict(stale._versions), list(stale._pending)
        await tx.flush()

    with pytest.raises(Conflict):
        await store.transact(body)
    assert await facts_of(store, "a") == [1, 2]


async def test_the_same_cause_cannot_be_recorded_twice(store: Store) -> None:
    await append(store, "a", 1)
    with pytest.raises(Conflict):
        await append(store, "a", 1)
    assert await facts_of(store, "a") == [1]


async def test_a_failing_transaction_leaves_nothing(store: Store) -> None:
    heard: list[object] = []
    store.on_commit(heard.append)

    async def body(tx: StoreTransaction) -> None:
        tx.caused_by(CAUSE)
        await tx.append("a", [fact()])
        await tx.flush()
        await tx.inbox.first_seen("policy", {(SOURCE, "x"): "d"})
        await tx.inbox.advance("policy", {("t", 0): (None, 7)})
        await tx.tasks.schedule("kind", "name")
        await tx.documents.put(Document(kind="k", key="1", value={}))
        await tx._dialect.statements.checkpoint(tx._connection, "m", 1)
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        await store.transact(body)
    for table in ("events", "inbox", "offsets", "tasks", "documents", "checkpoints"):
        assert await rows(store, table) == [], table
    assert heard == []


@pytest.mark.parametrize("fails", [False, True])
async def test_a_transaction_that_has_begun_ends_before_its_cancelled_caller_does(
    store: Store, *, fails: bool
) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def body(tx: StoreTransaction) -> None:
        tx.caused_by(CAUSE)
        await tx.append("a", [fact()])
        await tx.flush()
        started.set()
        await go_on.wait()
        if fails:
            raise ArithmeticError

    writing = asyncio.create_task(store.transact(body))
    await started.wait()
    writing.cancel()
    await asyncio.sleep(0)
    assert not writing.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await append(store, "b", 2)
    assert [event.stream for event in await store.events()] == (["b"] if fails else ["a", "b"])


async def test_a_reader_sees_the_last_commit_and_its_appends_are_forgotten(store: Store) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def body(tx: StoreTransaction) -> None:
        tx.caused_by(CAUSE)
        await tx.append("a", [fact()])
        await tx.flush()
        started.set()
        await go_on.wait()

    writing = asyncio.create_task(store.transact(body))
    await started.wait()
    assert await store.events() == []
    go_on.set()
    await writing
    assert len(await store.events()) == 1
    async with store.reading() as tx:
        tx.caused_by(CAUSE)
        await tx.append("z", [fact()])
    assert len(await store.events()) == 1


async def test_a_savepoint_undoes_only_what_was_inside(store: Store) -> None:
    async def undone(tx: StoreTransaction) -> None:
        async with tx.savepoint():
            await tx.append("a", [fact(2)])
            await tx.documents.put(Document(kind="k", key="in", value={}))
            await tx.inbox.first_seen("policy", {(SOURCE, "x"): "d"})
            raise ArithmeticError

    async def body(tx: StoreTransaction) -> None:
        tx.caused_by(CAUSE)
        await tx.append("a", [fact(1)])
        with pytest.raises(ArithmeticError):
            await undone(tx)
        async with tx.savepoint():
            await tx.append("a", [fact(3)])
        await tx.append("a", [fact(4)])
        await tx.documents.put(Document(kind="k", key="out", value={}))
        assert tx.result.published == 3

    await store.transact(body)
    events = await store.events()
    assert await facts_of(store, "a") == [1, 3, 4]
    assert [event.version for event in events] == [1, 2, 3]
    assert [event.id for event in events] == [
        event_id("policy", CAUSE.source, CAUSE.id, index) for index in range(3)
    ]
    assert [row["key"] for row in await rows(store, "documents")] == ["out"]
    assert await rows(store, "inbox") == []


async def test_listeners_hear_what_every_commit_leaves_to_be_done(store: Store) -> None:
    heard: list[tuple[int, set[str]]] = []
    store.on_commit(lambda written: heard.append((written.published, written.scheduled)))
    await append(store, "a", 1, 2)

    async def schedule(tx: StoreTransaction) -> None:
        await tx.tasks.schedule("kind", "name")

    async def private(tx: StoreTransaction) -> None:
        tx.caused_by(CAUSE)
        await tx.append_raw("p", id_="p1", type_="private", data="{}", metadata={})

    await store.transact(schedule)
    await store.transact(private)
    assert heard == [(2, set()), (0, {"kind"}), (0, set())]


async def test_events_are_found_by_correlation(store: Store) -> None:
    async def body(tx: StoreTransaction) -> None:
        for number, correlation in enumerate(("x", "y", "x")):
            tx.caused_by(Cause(SOURCE, str(number), correlation))
            await tx.append("a", [fact(number)])

    await store.transact(body)
    assert [event.version for event in await store.events(correlation="x")] == [1, 3]
    assert await store.events(correlation="z") == []


async def test_a_stored_type_that_this_release_does_not_know_is_passed_over(store: Store) -> None:
    async def body(tx: StoreTransaction) -> None:
        tx.caused_by(CAUSE)
        await tx.append_raw(
            "a", id_="1", type_="busbar.future.thing.v9", data="{}", metadata={}, key="a"
        )
        await tx.append("a", [fact(1)], key="a")

    await store.transact(body)
    assert await facts_of(store, "a") == [1]
    await append(store, "a", 2)
    assert [event.version for event in await store.events(key="a")] == [1, 2, 3]
