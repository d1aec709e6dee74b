"""Backpressure: when what was let in is not decided any more, nothing new is let in.

What counts is how long the oldest undecided intent has waited (lag in seconds), and that there are
many: an outage of minutes on a quiet platform is what the store is for, and no reason to refuse.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from busbar.kernel.clock import parse_time
from busbar.runtime.store import Document, Store, Transaction

UNDECIDED = "undecided"
"""The documents that say which intents nobody has answered, ranked by when they were let in."""

LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """More than ``intents`` undecided ones, the oldest for more than ``seconds``, are too many."""

    intents: int = 1000
    seconds: float = 60.0


class Pressure:
    """Tells whether the platform keeps up with what is let in."""

    def __init__(self, store: Store, limits: Limits) -> None:
        """Look into the gateway's own ``store``; at most once a second."""
        self._store = store
        self._limits = limits
        self._look_at: datetime | None = None
        self._lag: float | None = None

    async def lag(self) -> float | None:
        """Seconds that the oldest intent has waited if too many do; None while all is well."""
        now = self._store.clock.now()
        if self._look_at is None or now >= self._look_at:
            self._lag = await self._look()
            self._look_at = now + timedelta(seconds=LOOK_SECONDS)
        return self._lag

    async def _look(self) -> float | None:
        async with self._store.reading() as tx:
            waiting = await tx.documents.find(UNDECIDED, limit=1)
            if not waiting:
                return None
            lag = (tx.now - parse_time(waiting[0].rank)).total_seconds()
            if lag <= self._limits.seconds:
                return None
            crowd = await tx.documents.count(UNDECIDED, limit=self._limits.intents + 1)
            return lag if crowd > self._limits.intents else None


async def let_in(tx: Transaction, operation: str, *, time: str) -> None:
    """Remember that the intent of ``operation`` was let in at ``time``, and is undecided."""
    await tx.documents.put(Document(kind=UNDECIDED, key=operation, rank=time, value={}))


async def answered(tx: Transaction, operation: str) -> None:
    """Remember that somebody has answered the intent of ``operation``."""
    await tx.documents.remove(UNDECIDED, operation)
