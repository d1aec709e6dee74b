"""Lists that are indexed by team: one query for each team, merged into one order.

Each query follows an index in its order and ends with the page, so that a page of a small team
takes the same time in an installation of any size.
"""

from collections.abc import Mapping, Sequence
from heapq import merge
from typing import Any

from busbar.gateway.handlers import OF
from busbar.runtime.store import Document, StoreTransaction

Page = dict[str, Any]
Place = tuple[str, str | None]
"""A kind of documents, and the parent under which they are; None is every one."""


def page_of(found: Sequence[Document], limit: int) -> Page:
    """Return a page of the values of ``found``."""
    items = [dict(document.value) for document in found]
    return {"items": items, "next": found[-1].rank if len(found) == limit else None}


async def entries(
    tx: StoreTransaction,
    places: Sequence[Place],
    *,
    after: str | None,
    limit: int,
    newest_first: bool = False,
) -> list[tuple[str, str]]:
    """Return rank and key of up to ``limit`` documents that ``places`` lead to, each once."""
    lists = [
        await tx.documents.find(
            kind, parent=parent, after=after, limit=limit, newest_first=newest_first
        )
        for kind, parent in places
    ]
    found: dict[str, str] = {}
    for entry in merge(*lists, key=lambda document: document.rank, reverse=newest_first):
        found[entry.rank] = entry.value[OF]
        if len(found) == limit:
            break
    return list(found.items())


async def led_to(
    tx: StoreTransaction, kind: str, found: Sequence[tuple[str, str]]
) -> list[tuple[str, Mapping[str, Any]]]:
    """Return rank and value of the documents of ``kind`` that entries lead to."""
    values = await tx.documents.get_all(kind, [key for _, key in found])
    return [(rank, values[key]) for rank, key in found if key in values]
