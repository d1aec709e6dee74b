"""Tasks that are taken in the transaction that schedules them, by the process that does so.

Whoever claims work looks for it in a transaction of its own. What is due at once, and nobody
holds, need not be looked for: it is written with the lease of a worker of the same process that
has room for it, who starts when the transaction is committed. If the process dies then, the lease
ends as any other.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from busbar.runtime.store.model.rows import Claim

Opening = Callable[[Collection[str], Any], Awaitable[Mapping[str, Any]]]
"""Reads what the tasks of these names begin with, in the transaction that takes them."""


class ClaimTarget(Protocol):
    """Who works on the tasks of a kind in this process."""

    @property
    def holder(self) -> str:
        """The name under which it holds leases."""
        ...

    @property
    def lease(self) -> timedelta:
        """How long it holds them."""
        ...

    @property
    def opening(self) -> Opening | None:
        """What has to be read before it starts."""
        ...

    def reserve(self, wanted: int) -> tuple[int, datetime]:
        """Keep room for up to ``wanted`` tasks: for how many, and the time by its own clock."""
        ...

    def release(self) -> None:
        """Give up the room for one task, which was not taken after all."""
        ...


class EagerClaim(NamedTuple):
    """A task that was taken as it was scheduled, and what its worker begins with."""

    claim: Claim
    opened: Any
    asked: datetime
    """When the room was kept, by the taker's clock: the lease began later."""
    taker: ClaimTarget
