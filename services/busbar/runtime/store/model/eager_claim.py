"""Eager claims: tasks that are claimed in the transaction that schedules them.

Claiming due tasks takes a transaction of its own. A task that is due now and not held can skip it:
it is written with the lease of a runner in the same process that has a free slot, and starts when
the transaction is committed. If the process dies, the lease expires like any other.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from busbar.runtime.store.model.rows import Claim

Preload = Callable[[Collection[str], Any], Awaitable[Mapping[str, Any]]]
"""Reads the starting state of tasks, by name, in the transaction that claims them."""


class ClaimTarget(Protocol):
    """A runner in this process for which tasks of its kind may be claimed eagerly."""

    @property
    def holder(self) -> str:
        """The name under which it holds leases."""
        ...

    @property
    def lease(self) -> timedelta:
        """The length of its leases."""
        ...

    @property
    def preload(self) -> Preload | None:
        """Reads the starting state of its tasks, or None if they have none."""
        ...

    def reserve(self, wanted: int) -> tuple[int, datetime]:
        """Reserve up to ``wanted`` slots; return how many, and the time by the runner's clock."""
        ...

    def release(self) -> None:
        """Release one reserved slot whose task was not claimed."""
        ...


class EagerClaim(NamedTuple):
    """A task that was claimed as it was scheduled."""

    claim: Claim
    preloaded: Any
    asked: datetime
    """When the slot was reserved, by the target's clock: the lease began later."""
    target: ClaimTarget
