"""Inbox and offsets: the half of law 1 that makes redelivery change nothing."""

import pytest

from busbar.kernel.errors import Conflict
from busbar.runtime.store import Store, StoreTransaction
from support.runtime import (
    SOURCE,
)

Identity = tuple[str, str]


async def seen(store: Store, consumer: str = "policy", **digests: str) -> dict[str, str | None]:
    async def body(tx: StoreTransaction) -> dict[Identity, str | None]:
        return await tx.inbox.first_seen(
            consumer, {(SOURCE, id_): digest for id_, digest in digests.items()}
        )

    return {id_: before for (_, id_), before in (await store.transact(body)).items()}


async def advance(store: Store, expected: int | None, next_offset: int) -> None:
    async def body(tx: StoreTransaction) -> None:
        await tx.inbox.advance("policy", {("t", 3): (expected, next_offset)})

    await store.transact(body)


async def offsets(store: Store, consumer: str = "policy") -> dict[tuple[str, int], int]:
    async with store.reading() as tx:
        return await tx.inbox.offsets(consumer)


async def test_an_identity_is_new_once(store: Store) -> None:
    assert await seen(store, a="one") == {"a": None}
    assert await seen(store, a="one") == {"a": "one"}


async def test_an_identity_with_another_digest_gives_the_first_one_back(store: Store) -> None:
    await seen(store, a="one")
    assert await seen(store, a="two") == {"a": "one"}
    assert await seen(store, a="three") == {"a": "one"}


async def test_new_and_known_identities_are_distinguished_in_one_batch(store: Store) -> None:
    await seen(store, b="old")
    assert await seen(store, a="x", b="x", c="x") == {"a": None, "b": "old", "c": None}
    assert await seen(store) == {}


async def test_a_large_batch_is_marked_whole(store: Store) -> None:
    batch = {f"i{number}": str(number) for number in range(1200)}
    assert set((await seen(store, **batch)).values()) == {None}
    assert await seen(store, i0="x", i1199="x", new="x") == {
        "i0": "0",
        "i1199": "1199",
        "new": None,
    }


async def test_consumers_have_inboxes_of_their_own(store: Store) -> None:
    await seen(store, a="one")
    assert await seen(store, "notifier", a="two") == {"a": None}


async def test_the_same_id_of_another_source_is_another_event(store: Store) -> None:
    async def body(tx: StoreTransaction) -> list[str | None]:
        marks = {("urn:a", "1"): "x", ("urn:b", "1"): "x"}
        return list((await tx.inbox.first_seen("policy", marks)).values())

    assert await store.transact(body) == [None, None]


async def test_an_offset_moves_only_from_where_it_is_expected(store: Store) -> None:
    await advance(store, None, 5)
    await advance(store, 5, 9)
    for expected in (None, 5, 8, 10):
        with pytest.raises(Conflict, match="t/3"):
            await advance(store, expected, 20)
    assert await offsets(store) == {("t", 3): 9}
    assert await offsets(store, "notifier") == {}


async def test_an_offset_that_was_never_stored_cannot_be_expected(store: Store) -> None:
    with pytest.raises(Conflict):
        await advance(store, 0, 1)
    assert await offsets(store) == {}
