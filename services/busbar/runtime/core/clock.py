"""The system clock: the only module that reads it."""

import asyncio
from datetime import UTC, datetime


class SystemClock:
    """A clock that reads the machine's time."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - the only reader of the clock

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds``."""
        await asyncio.sleep(seconds)
