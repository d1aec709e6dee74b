"""Progress of what may take long: nothing for the first seconds, then on standard error."""

import asyncio
from types import TracebackType
from typing import Self

from busbar.cli.shared.output import errors, plain

DELAY_SECONDS = 2.0


class DelayedStatus:
    """Shows the last update, once ``delay`` seconds have passed, while the block runs."""

    def __init__(self, *, delay: float = DELAY_SECONDS) -> None:
        self._delay = delay
        self._text = ""
        self._status = errors().status("")
        self._task: asyncio.Task[None] | None = None
        self._shown = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._show())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
        self._status.stop()

    def update(self, text: str) -> None:
        """Set the text to show."""
        self._text = text
        if self._shown:
            self._status.update(plain(text))

    async def _show(self) -> None:
        await asyncio.sleep(self._delay)
        self._shown = True
        self._status.update(plain(self._text))
        self._status.start()
