"""The time that a command may take: ``--timeout``."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from busbar.cli.shared.exits import CommandError, ExitCode

_GRACE_SECONDS = 2.0
"""For the response that is on its way when the time is up."""


class TimeLimit:
    """Limits a whole command to ``seconds``, whatever it waits for."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._timeout: asyncio.Timeout | None = None
        self._end: float | None = None

    def left(self) -> float:
        """Return the seconds that are left."""
        if self._end is None:
            return self.seconds
        return max(self._end - asyncio.get_running_loop().time(), 0.0)

    def begin(self) -> None:
        """Begin to measure; again, after a question that a person has answered."""
        self._end = asyncio.get_running_loop().time() + self.seconds
        if self._timeout is not None:
            self._timeout.reschedule(self._end + _GRACE_SECONDS)

    @asynccontextmanager
    async def applied(self) -> AsyncIterator[None]:
        """Cancel the block when the time is up.

        Raises:
            CommandError: it was cancelled.
        """
        try:
            async with asyncio.timeout(None) as self._timeout:
                self.begin()
                yield
        except TimeoutError as error:
            if self._timeout is None or not self._timeout.expired():
                raise
            raise CommandError(
                f"The command did not end within {self.seconds:g} seconds.",
                fix="`busbar doctor` shows the state of every service; --timeout gives more time.",
                code=ExitCode.UNREACHABLE,
            ) from error
