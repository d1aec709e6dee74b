"""Pages of facts that one principal may see, and waiting for the next ones."""

import json
from dataclasses import dataclass
from typing import Any, Final

from busbar.gateway.routes.entries import Page
from busbar.gateway.routes.views import Views
from busbar.messages.read_scope import prefix_of
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.core.cursors import Cursors, PlainCursors, SealedCursors
from busbar.runtime.store import KeyScope, StoredEvent

_FACTS: Final = "facts/"
PAGE_BYTES: Final = 4 * 1024 * 1024
"""A page of facts ends before it is larger than this, unless it is of one fact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactFilters:
    """Which facts are asked for: those that match every filter that is given."""

    resource: str | None = None
    operation: str | None = None
    team: str | None = None
    types: frozenset[str] = frozenset()


class FactPages:
    """The facts that belong to what a principal may see, in the order of their arrival."""

    def __init__(self, views: Views, cipher: Cipher) -> None:
        self._views = views
        self._store = views.queries.store
        self._cursors: Cursors = (
            PlainCursors() if views.scope.everything else SealedCursors(views.reader.name, cipher)
        )

    async def cursor(self, text: str) -> int | None:
        """Return the position that ``text`` names (`now` is the end of the facts), or None."""
        if text == "now":
            return await self._store.last_position()
        return self._cursors.read(text)

    async def page(self, *, after: int, filters: FactFilters, limit: int, wait: float) -> Page:
        """Return facts in the order in which the gateway received them; wait for the next."""
        cursor = after

        async def look() -> Page:
            nonlocal cursor
            self._views.require_about(resource=filters.resource, team=filters.team)
            newest = await self._store.last_position(category=_FACTS)
            page = await self._store.events(
                after=cursor,
                limit=limit,
                key=filters.resource,
                correlation=filters.operation,
                category=_FACTS,
                keys=self._keys(filters.team),
                types=filters.types,
                max_bytes=PAGE_BYTES,
            )
            # Nothing up to the newest fact matches, so the next look begins behind it.
            cursor = page[-1].position if page else newest or cursor
            items = [self._item(event) for event in page]
            return {"items": items, "next": self._cursors.write(cursor)}

        return await self._views.until(look, lambda page: bool(page["items"]), wait)

    def _keys(self, team: str | None) -> KeyScope:
        if team is None:
            return KeyScope.of(self._views.scope)
        return KeyScope((prefix_of(team),), keyless=False)

    def _item(self, event: StoredEvent) -> dict[str, Any]:
        about = json.loads(event.metadata)
        return {
            "cursor": self._cursors.write(event.position),
            "id": about["id"],
            "source": about["source"],
            "type": event.type,
            "time": about["time"],
            "topic": about["topic"],
            "resource": about.get("resource"),
            "operation": about.get("operation"),
            "data": json.loads(event.data),
        }
