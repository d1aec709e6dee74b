"""The interface for everything that differs between the databases."""

from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import ColumnElement, TextClause
from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.kernel.clock import Clock
from busbar.runtime.store.sql.statements import Statements

Condition = ColumnElement[bool] | TextClause


class Dialect(Protocol):
    """Transactions, locks, time and visibility as one database implements them."""

    one_writer: bool
    """Whether write transactions run one at a time within this process."""

    statements: Statements
    """The statements that run for every batch."""

    def writing(self, connection: AsyncConnection) -> AbstractAsyncContextManager[Any]:
        """Return a transaction that may write."""
        ...

    def reading(self, connection: AsyncConnection) -> AbstractAsyncContextManager[Any]:
        """Return a transaction that reads one snapshot."""
        ...

    async def now(self, connection: AsyncConnection, clock: Clock) -> datetime:
        """Return the time for the leases and records of this transaction."""
        ...

    async def lock(self, connection: AsyncConnection, service: str, streams: set[str]) -> None:
        """Lock ``streams``, waiting for other writers; call it before the first write."""
        ...

    async def try_lock(
        self, connection: AsyncConnection, service: str, streams: Collection[str]
    ) -> int:
        """Lock ``streams`` without waiting and return the number of the transaction.

        Raises:
            Collision: another writer appends to one of them.
        """
        ...

    async def terminate_stalled_sessions(
        self, connection: AsyncConnection, *, after: timedelta
    ) -> int:
        """Terminate busbar's sessions that have stalled in a transaction; return how many.

        A session counts as stalled after ``after`` without a message from its client.
        """
        ...

    def committed_after(self, position: int) -> Condition:
        """Return the condition of events after ``position`` whose order can no longer change."""
        ...

    def not_yet_visible(self) -> Condition | None:
        """Return the condition of committed events that readers must not see yet, if any can be."""
        ...

    def order(self) -> tuple[Any, ...]:
        """Return the columns that order events as they were committed, oldest first."""
        ...
