"""What differs between the databases, in one object each."""

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
    """What the store asks of its database beyond plain statements."""

    one_writer: bool
    """Whether write transactions have to take turns within this process."""

    statements: Statements
    """Statements over many rows."""

    def writing(self, connection: AsyncConnection) -> AbstractAsyncContextManager[Any]:
        """A transaction that writes."""
        ...

    def reading(self, connection: AsyncConnection) -> AbstractAsyncContextManager[Any]:
        """A transaction that reads, all of it in one view."""
        ...

    async def now(self, connection: AsyncConnection, clock: Clock) -> datetime:
        """The time that leases and records of this transaction go by."""
        ...

    async def lock(self, connection: AsyncConnection, service: str, streams: set[str]) -> None:
        """Wait until nobody else appends to ``streams``; call it before the first write."""
        ...

    async def try_lock(
        self, connection: AsyncConnection, service: str, streams: Collection[str]
    ) -> int:
        """Lock ``streams`` without waiting, and tell the transaction's number.

        Raises:
            Collision: somebody else appends to one of them.
        """
        ...

    async def terminate_stalled_sessions(
        self, connection: AsyncConnection, *, after: timedelta
    ) -> int:
        """End the sessions of ours that stand still in a transaction since ``after``; how many."""
        ...

    def committed_after(self, position: int) -> Condition:
        """Condition of events after ``position`` that no running transaction can precede."""
        ...

    def not_yet_visible(self) -> Condition | None:
        """Condition of committed events that readers must not see yet; None if there are none."""
        ...

    def order(self) -> tuple[Any, ...]:
        """The order in which events were committed, oldest first."""
        ...
