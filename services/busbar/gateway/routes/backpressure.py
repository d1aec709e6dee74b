"""Backpressure: no new intent is accepted while too many old ones wait for a decision.

The measure is how long the oldest undecided intent has been waiting (lag in seconds), provided
that there are many of them: the store buffers an outage of minutes on a quiet platform.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from busbar.gateway.handlers import UNDECIDED
from busbar.kernel.clock import parse_time
from busbar.runtime.store import Store

CHECK_SECONDS: Final = 1.0
"""The store is queried at most this often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Intents are refused if more than ``intents`` wait and the oldest more than ``seconds``."""

    intents: int = 1000
    seconds: float = 60.0


class Backpressure:
    """Measures the lag of undecided intents in the gateway's own ``store``."""

    def __init__(self, store: Store, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._next_check: datetime | None = None
        self._lag: float | None = None

    async def lag(self) -> float | None:
        """Return how many seconds the oldest intent has waited if a limit is exceeded."""
        now = self._store.clock.now()
        if self._next_check is None or now >= self._next_check:
            self._lag = await self._measure()
            self._next_check = now + timedelta(seconds=CHECK_SECONDS)
        return self._lag

    async def _measure(self) -> float | None:
        async with self._store.reading() as tx:
            oldest = await tx.documents.find(UNDECIDED, limit=1)
            if not oldest:
                return None
            lag = (tx.now - parse_time(oldest[0].rank)).total_seconds()
            if lag <= self._limits.seconds:
                return None
            count = await tx.documents.count(UNDECIDED, limit=self._limits.intents + 1)
            return lag if count > self._limits.intents else None
