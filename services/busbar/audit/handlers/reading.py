"""Reads the copy in pages: however long it is, a page takes the same time and memory."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson

from busbar.audit.domain import AuditRecord
from busbar.audit.handlers.copy import RECORDS, UNREADABLE
from busbar.kernel.clock import format_time, time_of
from busbar.messages.read_scope import EVERYTHING, ReadScope
from busbar.runtime.core.cursors import Cursors
from busbar.runtime.store import KeyScope, Store, StoredEvent
from busbar.runtime.store.model.json import loads

PAGE_SIZE = 500
PAGE_BYTES = 4 * 1024 * 1024
"""A page ends before it is larger than this, unless it is of one record."""


async def page(
    store: Store,
    *,
    scope: ReadScope = EVERYTHING,
    after: int = 0,
    limit: int = PAGE_SIZE,
    resource: str | None = None,
    operation: str | None = None,
    category: str = RECORDS,
) -> list[StoredEvent]:
    """Return the next records after a cursor, of one resource or operation if given.

    Only those in ``scope``.
    """
    return await store.events(
        after=after,
        limit=limit,
        key=resource,
        correlation=operation,
        category=category,
        keys=KeyScope.of(scope),
        max_bytes=PAGE_BYTES,
    )


async def pages(
    store: Store,
    *,
    scope: ReadScope = EVERYTHING,
    after: int = 0,
    resource: str | None = None,
    operation: str | None = None,
    category: str = RECORDS,
) -> AsyncIterator[list[StoredEvent]]:
    """Yield the records of the copy in order of arrival, page by page."""
    while found := await page(
        store,
        scope=scope,
        after=after,
        resource=resource,
        operation=operation,
        category=category,
    ):
        yield found
        after = found[-1].position


async def records(
    store: Store, *, resource: str | None = None, operation: str | None = None
) -> AsyncIterator[AuditRecord]:
    """Yield the records of the copy in order of arrival, of one resource or operation if given."""
    async for found in pages(store, resource=resource, operation=operation):
        for event in found:
            yield record_of(event)


async def count(
    store: Store,
    *,
    scope: ReadScope = EVERYTHING,
    resource: str | None = None,
    operation: str | None = None,
) -> int:
    """Count the records that are in ``scope``, of one resource or operation if given."""
    async with store.reading() as tx:
        is_whole = resource is None and operation is None
        if is_whole and scope.everything:
            return sum((await tx.log.streams(RECORDS)).values())
        # Keys that begin with a team are those of records; others need a look at the stream.
        category = RECORDS if is_whole and (scope.platform or scope.teams is None) else ""
        keys = KeyScope.of(scope)
        return await tx.log.count(key=resource, correlation=operation, keys=keys, category=category)


def record_of(event: StoredEvent) -> AuditRecord:
    """Return the audit record that was stored as ``event``."""
    readable = event.type != UNREADABLE
    return AuditRecord(**_about(event), data=loads(event.data) if readable else None)


def written(event: StoredEvent, cursors: Cursors) -> bytes:
    """Return :func:`record_of` as JSON, with the stored data as it is."""
    readable = event.type != UNREADABLE
    data = orjson.Fragment(event.data) if readable else None
    cursor = cursors.write(event.position)
    return orjson.dumps({**_about(event), "cursor": cursor, "data": data})


def resource_of(event: StoredEvent) -> str | None:
    """Return the resource that a record is about, or None: its key may be only that of a team."""
    return None if event.key is None or event.key.endswith("/") else event.key


def _about(event: StoredEvent) -> dict[str, Any]:
    about: Mapping[str, Any] = loads(event.metadata)
    return {
        "cursor": event.position,
        "topic": about["topic"],
        "partition": about["partition"],
        "offset": about["offset"],
        "key": about.get("kafka_key"),
        "type": event.type,
        "id": about.get("id", ""),
        "source": about.get("source", ""),
        "time": about.get("time") or _published(about["timestamp"]),
        "recorded_time": event.recorded_time,
        "resource": resource_of(event),
        "operation": event.correlation or None,
        "relay": about.get("relay"),
        "sequence": about.get("sequence"),
        "value_digest": about["value_digest"],
        "readable": event.type != UNREADABLE,
    }


def _published(timestamp: int) -> str | None:
    time = time_of(timestamp)
    return format_time(time) if time is not None else None
