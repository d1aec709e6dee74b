"""Group commit: what several workers record at the same time becomes one transaction.

Each part is fenced by its own claim, and whoever lost its lease is told so while the others go on.
If one part fails, nothing of the group has happened, and each is recorded alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from busbar.runtime.store import Claim, Store, StoreTransaction, StoreUnavailable, Transaction
from busbar.runtime.store.parts.tasks import fenced

Result = TypeVar("Result")
Body = Callable[[Transaction], Awaitable[Any]]

MAX_GROUP = 200
"""Parts of one transaction at the most: it holds rows that others may wait for."""


@dataclass(frozen=True, slots=True)
class _Part:
    body: Body
    fence: Claim
    reads: Collection[str]
    outcome: asyncio.Future[Any] = field(default_factory=asyncio.Future)

    def resolve(self, outcome: Any) -> None:
        """Hand the outcome over, unless nobody waits for it any more."""
        if self.outcome.done():
            return
        if isinstance(outcome, BaseException):
            self.outcome.set_exception(outcome)
        else:
            self.outcome.set_result(outcome)


class GroupCommit:
    """Runs fenced transactions of one store, those that come meanwhile in one go."""

    def __init__(self, store: Store) -> None:
        """Record in ``store``."""
        self._store = store
        self._waiting: list[_Part] = []
        self._recording: asyncio.Task[None] | None = None

    async def transact(
        self,
        body: Callable[[Transaction], Awaitable[Result]],
        *,
        fence: Claim,
        reads: Collection[str] = (),
    ) -> Result:
        """Run ``body`` in a transaction that commits only while ``fence`` is held.

        ``reads`` are the streams that it will read; they are fetched with those of the others.

        Raises:
            Fenced: it no longer is.
            Exception: whatever ``body`` or the store raises.
        """
        part = _Part(body, fence, reads)
        self._waiting.append(part)
        if self._recording is None:
            self._recording = asyncio.create_task(self._record())
        found: Result = await part.outcome
        return found

    async def idle(self) -> None:
        """Return when what has begun is ended; what waits then is given up."""
        self._waiting.clear()
        if self._recording is not None:
            await self._recording

    async def _record(self) -> None:
        try:
            while self._waiting:
                parts, self._waiting = self._waiting[:MAX_GROUP], self._waiting[MAX_GROUP:]
                awaited = [part for part in parts if not part.outcome.done()]
                if awaited:
                    await self._commit(awaited)
        finally:
            self._recording = None

    async def _commit(self, parts: Sequence[_Part]) -> None:
        try:
            outcomes = await self._store.transact(partial(_run_all, parts))
        except StoreUnavailable as error:
            # Perhaps it is committed: only a worker that looks again can know.
            outcomes = [error] * len(parts)
        except Exception as error:  # noqa: BLE001 - it is told to whoever waits for it
            outcomes = (
                [error] if len(parts) == 1 else [await self._commit_alone(part) for part in parts]
            )
        for part, outcome in zip(parts, outcomes, strict=True):
            part.resolve(outcome)

    async def _commit_alone(self, part: _Part) -> Any:
        try:
            return await self._store.transact(part.body, fence=part.fence, reads=part.reads)
        except Exception as error:  # noqa: BLE001 - it is told to whoever waits for it
            return error


async def _run_all(parts: Sequence[_Part], tx: StoreTransaction) -> list[Any]:
    held = await tx.tasks.held([part.fence for part in parts])
    ours = {claim.identity for claim in held}
    await tx.fetch({stream for part in parts for stream in part.reads})
    outcomes: list[Any] = []
    for part in parts:
        tx.caused_by(None)
        is_ours = part.fence.identity in ours
        outcomes.append(await part.body(tx) if is_ours else fenced(part.fence))
    return outcomes
