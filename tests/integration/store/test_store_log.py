"""The log of events: streams, keys and pages, without reading more than is asked for."""

from itertools import count
from typing import Any

import pytest
from sqlalchemy import event

from busbar.runtime.store import Cause, Store, StoreTransaction
from busbar.runtime.store.parts.log import fitting


async def append(store: Store, *events: tuple[str, str | None, str], size: int = 1) -> None:
    """Append events as (stream, key, correlation)."""
    numbers = count(1)

    async def body(tx: StoreTransaction) -> None:
        for stream, key, correlation in events:
            number = next(numbers)
            tx.caused_by(Cause("urn:x", str(number), correlation))
            await tx.append_raw(
                stream,
                id_=f"event-{number}",
                type_="t",
                data=f'"{"x" * size}"',
                metadata={},
                key=key,
            )

    await store.transact(body)


async def ask(store: Store, name: str, *arguments: Any, **criteria: Any) -> Any:
    async with store.reading() as tx:
        return await getattr(tx.log, name)(*arguments, **criteria)


@pytest.fixture
async def log(store: Store) -> Store:
    await append(
        store,
        ("record/a/0", "k1", "o1"),
        ("record/a/1", "k2", "o2"),
        ("record/a/0", "k1", "o1"),
        ("record/b/0", None, "o2"),
        ("other/a/0", "k0", "o3"),
        ("record/a/0", "k1", "o4"),
        ("recorder/a/0", "k3", "o5"),
    )
    return store


async def test_streams_are_listed_with_the_version_of_their_newest_event(log: Store) -> None:
    assert await ask(log, "streams", "record/") == {
        "record/a/0": 3,
        "record/a/1": 1,
        "record/b/0": 1,
    }
    assert await ask(log, "streams", "record/a/") == {"record/a/0": 3, "record/a/1": 1}
    assert await ask(log, "streams", "nothing/") == {}
    assert sum((await ask(log, "streams", "")).values()) == 7


async def test_a_stream_is_read_by_its_versions(log: Store) -> None:
    found = await ask(log, "stream", "record/a/0", after=0, limit=2)
    assert [(one.version, one.data) for one in found] == [(1, '"x"'), (2, '"x"')]
    found = await ask(log, "stream", "record/a/0", after=2, limit=2, data=False)
    assert [(one.version, one.data, one.correlation) for one in found] == [(3, "", "o4")]
    assert await ask(log, "stream", "record/a/0", after=3, limit=2) == []


async def test_keys_are_listed_once_each_in_their_order(log: Store) -> None:
    assert await ask(log, "keys", after="", limit=10) == ["k0", "k1", "k2", "k3"]
    assert await ask(log, "keys", after="k0", limit=2) == ["k1", "k2"]
    assert await ask(log, "keys", after="k3", limit=2) == []


async def test_events_are_counted_by_key_and_by_correlation(log: Store) -> None:
    assert await ask(log, "count", key="k1") == 3
    assert await ask(log, "count", correlation="o2") == 2
    assert await ask(log, "count", key="unknown") == 0
    assert await ask(log, "count") == 7


async def test_the_newest_correlations_of_a_key_come_first(log: Store) -> None:
    assert await ask(log, "newest_correlations", "k1", limit=2) == ["o4", "o1"]
    assert await ask(log, "newest_correlations", "k1", limit=9) == ["o4", "o1", "o1"]


async def test_events_are_found_by_their_ids(log: Store) -> None:
    first, second, *_ = await log.events()
    found = await ask(log, "by_id", [first.id, second.id, "unknown"])
    assert {one.id for one in found} == {first.id, second.id}
    assert {one.data for one in found} == {""}


@pytest.mark.parametrize("most", [1, 100, 250, 1000])
async def test_a_page_is_not_larger_than_asked_for_but_never_empty(store: Store, most: int) -> None:
    await append(store, *[("s", "k", "o")] * 7, size=100)
    sizes, after = [], 0
    while found := await store.events(after=after, max_bytes=most):
        sizes.append(len(found))
        after = found[-1].position
    assert sum(sizes) == 7
    assert max(sizes) == max(1, min(7, most // 104))
    stream = await ask(store, "stream", "s", after=0, limit=10, max_bytes=most)
    assert len(stream) == sizes[0]


def test_what_fits_is_what_is_not_larger_together() -> None:
    assert fitting([], 10) == 0
    assert fitting([11], 10) == 1
    assert fitting([5, 5, 1], 10) == 2
    assert fitting([5, 6], 10) == 1
    assert fitting([1, 1], 10) == 2


async def test_listing_keys_and_streams_takes_one_statement_however_many_events(
    store: Store,
) -> None:
    await append(store, *[(f"record/{n % 3}", f"k{n % 2}", "o") for n in range(300)])
    statements: list[str] = []
    engine = store._reader.sync_engine
    event.listen(
        engine, "before_cursor_execute", lambda *found: statements.append(found[2].lower())
    )
    assert await ask(store, "keys", after="", limit=10) == ["k0", "k1"]
    assert len(await ask(store, "streams", "record/")) == 3
    reads = [one for one in statements if "from events" in one]
    assert len(reads) == 2
    assert all("min(" in one for one in reads)
