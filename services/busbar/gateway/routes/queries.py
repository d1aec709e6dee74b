"""Queries over the gateway's projection, and waiting for a change without polling."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from busbar.gateway.handlers import PRINCIPAL
from busbar.messages.principals import PrincipalView
from busbar.runtime.core.waiting import wait_for_event
from busbar.runtime.store import Store, StoreTransaction
from busbar.runtime.store.model.commit_result import CommitResult

Found = TypeVar("Found")


class Queries:
    """Reads the gateway's projection in ``store``; its commits wake those who wait.

    Endpoints read through :class:`~busbar.gateway.routes.views.Views`, which show what one
    principal may see.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._committed = asyncio.Event()
        store.on_commit(self._wake)

    def _wake(self, _written: CommitResult) -> None:
        self._committed.set()
        self._committed = asyncio.Event()

    def reading(self) -> AbstractAsyncContextManager[StoreTransaction]:
        """Open a transaction that reads one snapshot."""
        return self.store.reading()

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

    async def principal(self, name: str) -> PrincipalView | None:
        """Return the principal ``name`` as the last commit has it, to authenticate it."""
        async with self.store.reading() as tx:
            known = await tx.documents.get(PRINCIPAL, name)
        return None if known is None else PrincipalView.model_validate(known)
