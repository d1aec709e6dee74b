"""Follows a list: everything at first, then each item that is new or has changed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

from pydantic import BaseModel

from busbar.sdk import Client

RELOAD_SECONDS = 5.0
"""The longest time until a change shows whose fact was missed."""

Item = TypeVar("Item", bound=BaseModel)


async def changes(
    client: Client, load: Callable[[], Awaitable[Sequence[Item]]], key: Callable[[Item], str]
) -> AsyncIterator[list[Item]]:
    """Yield what ``load`` returns, then each time the items that are new or have changed.

    It loads again when a fact is published, and after :data:`RELOAD_SECONDS` in any case. It does
    not end.
    """
    published = asyncio.Event()
    watching = asyncio.create_task(_watch(client, published))
    seen: Mapping[str, Item] | None = None
    try:
        while True:
            published.clear()
            found = {key(item): item for item in await load()}
            changed = [item for id_, item in found.items() if not seen or seen.get(id_) != item]
            if changed or seen is None:
                yield changed
            seen = found
            if watching.done():
                watching.result()
            with suppress(TimeoutError):
                await asyncio.wait_for(published.wait(), RELOAD_SECONDS)
    finally:
        watching.cancel()


async def _watch(client: Client, published: asyncio.Event) -> None:
    async for _ in client.facts(after="now", follow=True):
        published.set()
