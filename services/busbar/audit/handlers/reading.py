"""Reads the copy in pages: however long it is, a page takes the same time and memory."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson

from busbar.audit.domain import AuditRecord
from busbar.audit.handlers.copy import RECORDS, UNREADABLE
from busbar.kernel.clock import format_time, time_of
from busbar.runtime.store import Store, StoredEvent
from busbar.runtime.store.model.json import loads

PAGE_SIZE = 500
PAGE_BYTES = 4 * 1024 * 1024
"""A page ends before it is larger than this, unless it is of one record."""


async def page(
    store: Store,
    *,
    after: int = 0,
    limit: int = PAGE_SIZE,
    resource: str | None = None,
    operation: str | None = None,
    category: str = RECORDS,
) -> list[StoredEvent]:
    """Return the next records after a cursor, of one resource or operation if given."""
    return await store.events(
        after=after,
        limit=limit,
        key=resource,
        correlation=operation,
        category=category,
        max_bytes=PAGE_BYTES,
    )


async def pages(
    store: Store,
    *,
    after: int = 0,
    resource: str | None = None,
    operation: str | None = None,
    category: str = RECORDS,
) -> AsyncIterator[list[StoredEvent]]:
    """Yield the records of the copy in order of arrival, page by page."""
    while found := await page(
        store, after=after, resource=resource, operation=operation, category=category
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


async def count(store: Store, *, resource: str | None = None, operation: str | None = None) -> int:
    """Count the records of the copy, of one resource or operation if given."""
    async with store.reading() as tx:
        if resource is None and operation is None:
            return sum((await tx.log.streams(RECORDS)).values())
        return await tx.log.count(key=resource, correlation=operation)


def record_of(event: StoredEvent) -> AuditRecord:
    """Return the audit record that was stored as ``event``."""
    readable = event.type != UNREADABLE
    return AuditRecord(**_about(event), data=loads(event.data) if readable else None)


def written(event: StoredEvent) -> bytes:
    """Return :func:`record_of` as JSON, with the stored data as it is."""
    readable = event.type != UNREADABLE
    data = orjson.Fragment(event.data) if readable else None
    return orjson.dumps({**_about(event), "data": data})


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
        "resource": event.key,
        "operation": event.correlation or None,
        "relay": about.get("relay"),
        "sequence": about.get("sequence"),
        "value_digest": about["value_digest"],
        "readable": event.type != UNREADABLE,
    }


def _published(timestamp: int) -> str | None:
    time = time_of(timestamp)
    return format_time(time) if time is not None else None
