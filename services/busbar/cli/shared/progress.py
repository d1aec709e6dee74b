"""Progress of what may take long: nothing for the first seconds, then on standard error."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self, TypeVar

from busbar.cli.shared.output import Output, errors, plain
from busbar.messages.http import Progress

Item = TypeVar("Item")

DELAY_SECONDS = 2.0


def describe(progress: Progress, *, since: Progress, seconds: float) -> str:
    """Return ``progress`` with the rate and the time left, from that of ``since`` on."""
    of = "" if progress.total is None else f" of {progress.total:,}"
    text = f"{progress.done:,}{of} {progress.what}"
    done = progress.done - since.done
    if seconds <= 0 or done <= 0:
        return text
    rate = done / seconds
    text += f" · {rate:,.0f}/s"
    if progress.total is None:
        return text
    return f"{text} · {_duration(max(progress.total - progress.done, 0) / rate)} left"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 - a minute
        return f"{whole} s"
    minutes, whole = divmod(whole, 60)
    if minutes < 60:  # noqa: PLR2004 - an hour
        return f"{minutes} min {whole} s"
    return f"{minutes // 60} h {minutes % 60} min"


class DelayedStatus:
    """Shows the last update, once ``delay`` seconds have passed, while the block runs.

    It shows nothing if ``output`` is for programs or standard error is not a terminal.
    """

    def __init__(self, output: Output, *, delay: float = DELAY_SECONDS) -> None:
        self._delay = delay
        self._text = ""
        self._console = errors()
        self._status = self._console.status("")
        self._enabled = output is Output.TABLE and self._console.is_terminal
        self._task: asyncio.Task[None] | None = None
        self._shown = False
        self._first: tuple[Progress, float] | None = None

    async def __aenter__(self) -> Self:
        if self._enabled:
            self._task = asyncio.create_task(self._show())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def update(self, text: str) -> None:
        """Set the text to show."""
        self._text = text
        if self._shown:
            self._status.update(plain(text))

    def progress(self, progress: Progress) -> None:
        """Show ``progress`` with its rate and the time left."""
        now = asyncio.get_running_loop().time()
        if self._first is None or self._first[0].what != progress.what:
            self._first = (progress, now)
        since, begun = self._first
        self.update(describe(progress, since=since, seconds=now - begun))

    def stop(self) -> None:
        """Remove the text: what follows is the result."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._shown = False
        self._status.stop()

    async def until_first(self, items: AsyncIterator[Item]) -> AsyncIterator[Item]:
        """Iterate over ``items``, which are printed: remove the text when the first one comes."""
        async for item in items:
            self.stop()
            yield item
        self.stop()

    async def _show(self) -> None:
        await asyncio.sleep(self._delay)
        self._shown = True
        self._status.update(plain(self._text))
        self._status.start()
