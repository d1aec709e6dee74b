"""Documents: projections, listed by parent and rank."""

from typing import Any

import pytest

from busbar.runtime.store import Document, Store, StoreTransaction


async def put(store: Store, *documents: Document) -> None:
    async def body(tx: StoreTransaction) -> None:
        for document in documents:
            await tx.documents.put(document)

    await store.transact(body)


async def found(store: Store, kind: str = "k", **criteria: Any) -> list[str]:
    async with store.reading() as tx:
        return [document.key for document in await tx.documents.find(kind, **criteria)]


@pytest.fixture
async def shelf(store: Store) -> Store:
    await put(
        store,
        Document(kind="k", key="a/1", parent="a", rank="3", value={"n": 1}),
        Document(kind="k", key="a/2", parent="a", rank="1", value={"n": 2}),
        Document(kind="k", key="b/1", parent="b", rank="2", value={"n": 3}),
        Document(kind="other", key="a/1", parent="a", rank="0", value={"n": 4}),
    )
    return store


async def test_a_document_comes_back_as_it_was_put(store: Store) -> None:
    document = Document(kind="k", key="ä", parent="p", rank="r", value={"a": [1, None, "ü\n"]})
    await put(store, document)
    async with store.reading() as tx:
        assert await tx.documents.get("k", "ä") == document.value
        assert await tx.documents.find("k") == [document]
        assert await tx.documents.get("k", "a") is None
        assert await tx.documents.get("other", "ä") is None


async def test_putting_again_replaces_value_parent_and_rank(shelf: Store) -> None:
    await put(shelf, Document(kind="k", key="a/1", parent="b", rank="9", value={"n": 0}))
    assert await found(shelf, parent="a") == ["a/2"]
    assert await found(shelf, parent="b") == ["b/1", "a/1"]
    async with shelf.reading() as tx:
        assert await tx.documents.get("k", "a/1") == {"n": 0}
        assert await tx.documents.get("other", "a/1") == {"n": 4}


async def test_documents_are_found_in_the_order_of_their_rank(shelf: Store) -> None:
    assert await found(shelf) == ["a/2", "b/1", "a/1"]
    assert await found(shelf, newest_first=True) == ["a/1", "b/1", "a/2"]


async def test_documents_of_one_rank_are_found_in_the_order_of_their_key(store: Store) -> None:
    await put(store, *(Document(kind="k", key=key, parent="p", value={}) for key in "cabd"))
    assert await found(store, parent="p") == ["a", "b", "c", "d"]
    assert await found(store, parent="p", newest_first=True) == ["d", "c", "b", "a"]


async def test_a_parent_keeps_its_own(shelf: Store) -> None:
    assert await found(shelf, parent="a") == ["a/2", "a/1"]
    assert await found(shelf, parent="c") == []


async def test_pages_follow_each_other_by_rank_in_both_directions(shelf: Store) -> None:
    assert await found(shelf, limit=2) == ["a/2", "b/1"]
    assert await found(shelf, after="2") == ["a/1"]
    assert await found(shelf, after="2", newest_first=True) == ["a/2"]
    assert await found(shelf, parent="a", after="1") == ["a/1"]


async def test_a_prefix_means_exactly_these_characters(store: Store) -> None:
    keys = ("a%b/1", "axb/1", "A%B/1", "a_b/1", "a%b/2", "a%", "ü/1", "Ü/1")
    await put(store, *(Document(kind="k", key=key, rank=key, value={}) for key in keys))
    assert await found(store, prefix="a%b") == ["a%b/1", "a%b/2"]
    assert await found(store, prefix="a_") == ["a_b/1"]
    assert await found(store, prefix="A") == ["A%B/1"]
    assert await found(store, prefix="ü/") == ["ü/1"]
    assert len(await found(store, prefix="")) == len(keys)


async def test_what_is_removed_is_gone(shelf: Store) -> None:
    async def body(tx: StoreTransaction) -> None:
        await tx.documents.remove("k", "a/1")
        await tx.documents.remove("k", "never there")

    await shelf.transact(body)
    assert await found(shelf) == ["a/2", "b/1"]
    assert await found(shelf, "other") == ["a/1"]


async def test_documents_are_put_and_read_together(shelf: Store) -> None:
    many = [Document(kind="k", key=f"c/{n}", rank=str(n), value={"n": n}) for n in range(700)]

    async def body(tx: StoreTransaction) -> None:
        await tx.documents.put_all([*many, Document(kind="k", key="a/1", rank="9", value={"n": 9})])
        await tx.documents.put_all([])

    await shelf.transact(body)
    async with shelf.reading() as tx:
        together = await tx.documents.get_all("k", ["a/1", "a/2", "c/699", "unknown"])
        assert together == {"a/1": {"n": 9}, "a/2": {"n": 2}, "c/699": {"n": 699}}
        assert await tx.documents.get_all("k", []) == {}
    assert len(await found(shelf, limit=1000)) == 703
