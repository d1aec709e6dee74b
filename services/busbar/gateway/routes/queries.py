"""Queries over the gateway's projection, and waiting for a change without polling."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from busbar.gateway.handlers import (
    DEAD_LETTER,
    DEAD_LETTER_RECORD,
    DELIVERY,
    OPERATION,
    PRINCIPAL,
    RESOURCE,
    SUBSCRIPTION,
)
from busbar.messages.views import ENDED
from busbar.runtime.core.waiting import wait_for_event
from busbar.runtime.store import Document, Store, StoredEvent
from busbar.runtime.store.model.commit_result import CommitResult

Page = dict[str, Any]
Found = TypeVar("Found")
_FACTS = "facts/"
SCANNED = 1000
"""Views that one request looks at in search of those in a status."""

PAGE_BYTES = 4 * 1024 * 1024
"""A page of facts ends before it is larger than this, unless it is of one fact."""

_MAX_DIGITS = 18  # fits the 64 bits of a position


@dataclass(frozen=True, slots=True, kw_only=True)
class FactFilters:
    """Which facts are asked for: those that match every filter that is given."""

    resource: str | None = None
    operation: str | None = None
    team: str | None = None
    types: frozenset[str] = frozenset()


class Queries:
    """Reads the gateway's projection in ``store``; its commits wake those who wait."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._committed = asyncio.Event()
        store.on_commit(self._wake)

    def _wake(self, _written: CommitResult) -> None:
        self._committed.set()
        self._committed = asyncio.Event()

    async def until(
        self, look: Callable[[], Awaitable[Found]], good: Callable[[Found], bool], wait: float
    ) -> Found:
        """Return what ``look`` finds as soon as it is ``good``, or after ``wait`` seconds."""
        deadline = asyncio.get_running_loop().time() + wait
        while True:
            committed = self._committed
            found = await look()
            left = deadline - asyncio.get_running_loop().time()
            if good(found) or left <= 0:
                return found
            if not await wait_for_event(committed, seconds=left):
                return found

    async def operation(self, id_: str, wait: float) -> Mapping[str, Any] | None:
        """Return one operation; wait up to ``wait`` seconds for it to end."""

        async def look() -> Mapping[str, Any] | None:
            async with self._store.reading() as tx:
                known = await tx.documents.get(OPERATION, id_)
            return None if known is None else dict(known["view"])

        return await self.until(look, lambda view: view is None or view["status"] in ENDED, wait)

    async def operations(
        self, *, resource: str | None, status: str | None, after: str | None, limit: int
    ) -> Page:
        """Return a page of operations, newest first."""
        return await self._views(
            OPERATION, parent=resource, status=status, after=after, limit=limit
        )

    async def _views(
        self, kind: str, *, parent: str | None, status: str | None, after: str | None, limit: int
    ) -> Page:
        """Return a page of views of ``kind``, newest first.

        A page of one status may have fewer items than ``limit``, or none, before the end: a
        request looks at a limited number of views.
        """
        size = limit if status is None else SCANNED
        async with self._store.reading() as tx:
            page = await tx.documents.find(
                kind, parent=parent, after=after, limit=size, newest_first=True
            )
        items: list[Any] = []
        for document in page:
            if status in (None, document.value["view"]["status"]):
                items.append(document.value["view"])
            if len(items) == limit:
                return {"items": items, "next": document.rank}
        return {"items": items, "next": page[-1].rank if len(page) == size else None}

    async def resource(self, id_: str) -> Mapping[str, Any] | None:
        """Return one resource."""
        async with self._store.reading() as tx:
            return await tx.documents.get(RESOURCE, id_)

    async def resources(self, *, prefix: str | None, after: str | None, limit: int) -> Page:
        """Return a page of resources by name."""
        async with self._store.reading() as tx:
            page = await tx.documents.find(RESOURCE, prefix=prefix, after=after, limit=limit)
        return _page(page, limit)

    async def dead_letters(self, *, service: str | None, after: str | None, limit: int) -> Page:
        """Return a page of dead letters, oldest first, without their records."""
        async with self._store.reading() as tx:
            page = await tx.documents.find(DEAD_LETTER, parent=service, after=after, limit=limit)
        return _page(page, limit)

    async def dead_letter(self, id_: str) -> Mapping[str, Any] | None:
        """Return one dead letter with its record still encrypted."""
        async with self._store.reading() as tx:
            known = await tx.documents.get(DEAD_LETTER, id_)
            record = await tx.documents.get(DEAD_LETTER_RECORD, id_)
        return None if known is None or record is None else {**known, **record}

    async def subscription(self, key: str) -> Mapping[str, Any] | None:
        """Return one subscription."""
        async with self._store.reading() as tx:
            return await tx.documents.get(SUBSCRIPTION, key)

    async def knows_subscription(self, key: str) -> bool:
        """Return whether the subscription exists, or had a delivery before it was deleted."""
        async with self._store.reading() as tx:
            if await tx.documents.get(SUBSCRIPTION, key) is not None:
                return True
            return bool(await tx.documents.find(DELIVERY, parent=key, limit=1))

    async def subscriptions(self, *, team: str | None, after: str | None, limit: int) -> Page:
        """Return a page of subscriptions by team and name."""
        async with self._store.reading() as tx:
            page = await tx.documents.find(SUBSCRIPTION, parent=team, after=after, limit=limit)
        return _page(page, limit)

    async def principal(self, name: str) -> Mapping[str, Any] | None:
        """Return one principal."""
        async with self._store.reading() as tx:
            return await tx.documents.get(PRINCIPAL, name)

    async def principals(self, *, after: str | None, limit: int) -> Page:
        """Return a page of principals by name."""
        async with self._store.reading() as tx:
            page = await tx.documents.find(PRINCIPAL, after=after, limit=limit)
        return _page(page, limit)

    async def delivery(self, subscription: str, event: str) -> Mapping[str, Any] | None:
        """Return the delivery of one fact to one subscription, with its attempts."""
        async with self._store.reading() as tx:
            known = await tx.documents.get(DELIVERY, f"{subscription}|{event}")
        return None if known is None else dict(known["view"])

    async def deliveries(
        self, *, subscription: str, status: str | None, after: str | None, limit: int
    ) -> Page:
        """Return a page of a subscription's deliveries, newest first."""
        return await self._views(
            DELIVERY, parent=subscription, status=status, after=after, limit=limit
        )

    async def cursor(self, text: str) -> int | None:
        """Return the cursor that ``text`` names (`now` is the end of the facts), or None."""
        if text == "now":
            return await self._store.last_position()
        is_number = text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS
        return int(text) if is_number else None

    async def facts(
        self,
        *,
        after: int,
        filters: FactFilters,
        limit: int,
        wait: float,
    ) -> Page:
        """Return facts in the order in which the gateway received them; wait for the next."""
        cursor = after

        async def look() -> Page:
            nonlocal cursor
            newest = await self._store.last_position(category=_FACTS)
            page = await self._store.events(
                after=cursor,
                limit=limit,
                key=filters.resource,
                correlation=filters.operation,
                category=_FACTS,
                key_prefix=f"{filters.team}/" if filters.team else "",
                types=filters.types,
                max_bytes=PAGE_BYTES,
            )
            # Nothing up to the newest fact matches, so the next look begins behind it.
            cursor = page[-1].position if page else newest or cursor
            return {"items": [_fact(event) for event in page], "next": cursor}

        return await self.until(look, lambda page: bool(page["items"]), wait)


def _page(found: list[Document], limit: int) -> Page:
    items = [dict(document.value) for document in found]
    return {"items": items, "next": found[-1].rank if len(found) == limit else None}


def _fact(event: StoredEvent) -> dict[str, Any]:
    about = json.loads(event.metadata)
    return {
        "cursor": event.position,
        "id": about["id"],
        "source": about["source"],
        "type": event.type,
        "time": about["time"],
        "topic": about["topic"],
        "resource": about.get("resource"),
        "operation": about.get("operation"),
        "data": json.loads(event.data),
    }
