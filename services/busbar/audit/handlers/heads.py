"""Reads the heads of relays from the copy, with the keys that they are verified with."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from busbar.audit.domain import IDENTITY, HeadCheck, ServiceKeys, SignedCopy
from busbar.audit.handlers.copy import RECORDS
from busbar.audit.handlers.reading import PAGE_BYTES
from busbar.messages import topics
from busbar.messages.delivery import HeadKeyRevoked, HeadPublished
from busbar.messages.identity import KeyRegistered, PrincipalDeclared
from busbar.runtime.store import Store, StoredEvent
from busbar.runtime.store.model.json import loads

ROWS = 100
"""Heads that are verified together: it takes some milliseconds, in which nothing else runs."""

FACTS_ABOUT_KEYS = f"{RECORDS}{topics.FACTS_IDENTITY}/"
HEADS = f"{RECORDS}{topics.FACTS_HEAD}/"


async def service_keys(store: Store, streams: Collection[str]) -> ServiceKeys:
    """Return the keys that services have, by the facts of identity in ``streams``."""
    keys = ServiceKeys()
    for stream in sorted(streams):
        if not stream.startswith(FACTS_ABOUT_KEYS):
            continue
        async for event in _events(store, stream):
            if loads(event.metadata).get("source") != f"{topics.OWN_SOURCES}{IDENTITY}":
                continue
            if event.type == PrincipalDeclared.TYPE:
                keys.take(PrincipalDeclared.model_validate_json(event.data))
            elif event.type == KeyRegistered.TYPE:
                keys.take(KeyRegistered.model_validate_json(event.data))
    return keys


async def take_heads(
    store: Store, early: Mapping[str, int], check: HeadCheck
) -> AsyncIterator[int]:
    """Pass ``check`` the heads that were stored before the versions ``early`` of their streams.

    Yields how many records were read since the last time.
    """
    for stream in sorted(early):
        if not stream.startswith(HEADS):
            continue
        done = 0
        async for event in _events(store, stream):
            if event.version > early[stream]:
                break
            _take(event, check)
            done += 1
            if done % ROWS == 0:
                yield ROWS
        yield done % ROWS


def _take(event: StoredEvent, check: HeadCheck) -> None:
    about: Mapping[str, Any] = loads(event.metadata)
    record = SignedCopy(
        place=(about["topic"], about["partition"], about["offset"]),
        source=about.get("source", ""),
        digest=about["value_digest"],
        data=loads(event.data),
        signed=about.get("signed"),
        kept="signed" in about,
    )
    with suppress(ValidationError):  # what has not the form of a head is none
        if event.type == HeadPublished.TYPE:
            check.take(HeadPublished.model_validate_json(event.data), record)
        elif event.type == HeadKeyRevoked.TYPE:
            check.revoke(HeadKeyRevoked.model_validate_json(event.data), record)


async def _events(store: Store, stream: str) -> AsyncIterator[StoredEvent]:
    version = 0
    while True:
        async with store.reading() as tx:
            found = await tx.log.stream(stream, after=version, limit=ROWS, max_bytes=PAGE_BYTES)
        if not found:
            return
        for event in found:
            yield event
        version = found[-1].version
