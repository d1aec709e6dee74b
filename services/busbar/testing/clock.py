"""A clock that a test moves."""

import asyncio
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Final

START: Final = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


class ManualClock:
    """A clock that stands still until :meth:`advance` moves it.

    With ``auto_advance``, the default, sleeping takes no time: it moves the clock on and lets other
    tasks run. Without it, a sleeper waits until the test advances the clock far enough.
    """

    def __init__(self, now: datetime = START, *, auto_advance: bool = True) -> None:
        self.slept: list[float] = []
        """The seconds of every sleep, in order."""
        self._now = now
        self._auto_advance = auto_advance
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds`` of this clock."""
        self.slept.append(seconds)
        if self._auto_advance:
            self.advance(seconds)
            await asyncio.sleep(0)
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        due = self._now + timedelta(seconds=seconds)
        heappush(self._sleepers, (due, len(self.slept), wake))
        await wake

    def advance(self, seconds: float) -> None:
        """Move the clock on and wake every sleeper that is due."""
        self._now += timedelta(seconds=seconds)
        while self._sleepers and self._sleepers[0][0] <= self._now:
            wake = heappop(self._sleepers)[2]
            if not wake.done():
                wake.set_result(None)
