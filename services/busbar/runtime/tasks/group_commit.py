"""Group commit: concurrent writes of several workers become one transaction.

Each part is fenced by its own claim: a part whose lease was lost fails while the others commit. If
another error occurs, the group is rolled back, and each part is committed by itself.
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
"""Maximum number of parts per transaction: it locks rows that others may wait for."""


@dataclass(frozen=True, slots=True)
class _Part:
    body: Body
    fence: Claim
    reads: Collection[str]
    outcome: asyncio.Future[Any] = field(default_factory=asyncio.Future)

    def resolve(self, outcome: Any) -> None:
        """Pass the outcome to the waiter, unless that was cancelled."""
        if self.outcome.done():
            return
        if isinstance(outcome, BaseException):
            self.outcome.set_exception(outcome)
        else:
            self.outcome.set_result(outcome)


class GroupCommit:
    """Groups fenced transactions of one store: those that arrive during a commit share the next."""

    def __init__(self, store: Store) -> None:
        """Commit to ``store``."""
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

        ``reads`` are the streams that it reads; they are fetched with those of the other parts.

        Raises:
            Fenced: the claim is no longer held.
            Exception: any error of ``body`` or of the store.
        """
        part = _Part(body, fence, reads)
        self._waiting.append(part)
        if self._recording is None:
            self._recording = asyncio.create_task(self._record())
        found: Result = await part.outcome
        return found

    async def idle(self) -> None:
        """Drop the parts that wait, and return when the current transaction has ended."""
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
            # It may have committed: only a worker that reads the state again can know.
            outcomes = [error] * len(parts)
        except Exception as error:  # noqa: BLE001 - passed to the waiter
            outcomes = (
                [error] if len(parts) == 1 else [await self._commit_alone(part) for part in parts]
            )
        for part, outcome in zip(parts, outcomes, strict=True):
            part.resolve(outcome)

    async def _commit_alone(self, part: _Part) -> Any:
        try:
            return await self._store.transact(part.body, fence=part.fence, reads=part.reads)
        except Exception as error:  # noqa: BLE001 - passed to the waiter
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
