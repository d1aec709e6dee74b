"""An event loop on which time is a number: waiting costs nothing, and every await is counted."""

import asyncio
import random
import selectors
from asyncio import events
from collections.abc import Callable, Coroutine
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import Any

BEGIN = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
QUIET_SECONDS = 3 * 3600.0
"""If nothing is due for so long, nothing is under way any more: the run has come to its end."""

LONGEST_RUN = 24 * 3600.0
"""A run that is still busy after this much time of its own does not come to an end."""

LATENCY = 0.001
"""Calls of the database and of the bus take up to this long: the seed says how long each takes."""

POLL_SECONDS = 0.01
"""The pause of a consumer that found nothing, at most; as in ``runtime/kafka/bus.py``."""


class VirtualClock:
    """The clock of the simulation: it shows the loop's time, and can be set to another one."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        """Seconds that went by on all loops together."""
        self.offset = timedelta()
        """How far the clock is wrong."""

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.elapsed) + self.offset

    async def sleep(self, seconds: float) -> None:
        await wait(seconds)

    def jump(self, seconds: float) -> None:
        """Set the clock forward or back, as an administrator or a time server may."""
        self.offset += timedelta(seconds=seconds)


class _Skipping(selectors.SelectSelector):
    """Nothing ever arrives from outside; waiting moves the time on."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout > QUIET_SECONDS:
            self.loop.stop()
        elif timeout > 0:
            self.loop.pass_time(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs until nothing is left to do. The same seed gives the same order of everything."""

    def __init__(self, clock: VirtualClock, seed: str) -> None:
        selector = _Skipping()
        super().__init__(selector)
        selector.loop = self
        self._clock_resolution = 1e-6
        self.clock = clock
        self.dice = random.Random(seed)
        self.overrun = False
        """Whether it was stopped because it did not come to an end."""
        self.awaits = 0
        self.on_await: Callable[[int], None] | None = None
        """Called with the number of each await of the process, before anything else happens."""
        self.counting = True
        self._most = 10**9
        self.set_task_factory(self._counted)

    def time(self) -> float:
        return self.clock.elapsed

    def pass_time(self, seconds: float) -> None:
        self.clock.elapsed += seconds
        if self.clock.elapsed > LONGEST_RUN:
            self._give_up()

    def limit(self, awaits: int) -> None:
        """Give up after so many awaits: something goes round in circles."""
        self._most = awaits

    def _give_up(self) -> None:
        self.overrun = True
        self.stop()

    def suspended(self) -> None:
        """A coroutine of the process has given way: here it can be stopped."""
        if not self.counting:
            return
        self.awaits += 1
        if self.awaits > self._most:
            self._give_up()
        if self.on_await is not None:
            self.on_await(self.awaits)

    def _counted(
        self,
        loop: asyncio.AbstractEventLoop,
        coroutine: Any,
        context: Context | None = None,
    ) -> asyncio.Task[Any]:
        return asyncio.Task(_Counted(self, coroutine), loop=loop, context=context)

    def run_until_quiet(self) -> None:
        """Run until nothing is due, or until it is clear that this will never be."""
        events._set_running_loop(None)  # the loop of a process that was stopped never goes on
        asyncio.set_event_loop(self)
        self.run_forever()


class _Counted(Coroutine[Any, Any, Any]):
    """A coroutine whose every suspension is reported to the loop."""

    def __init__(self, loop: VirtualLoop, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._loop = loop
        self._coroutine = coroutine

    def send(self, value: Any, /) -> Any:
        given = self._coroutine.send(value)
        self._loop.suspended()
        return given

    def throw(self, *error: Any) -> Any:
        given = self._coroutine.throw(*error)
        self._loop.suspended()
        return given

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Any:
        return self._coroutine.__await__()


def running() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        raise TypeError("this belongs to the simulation")
    return loop


async def wait(seconds: float) -> None:
    """Wait so long on the loop's own time."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    timer = loop.call_later(seconds, _resolve, done)
    try:
        await done
    finally:
        timer.cancel()


async def latency() -> None:
    """Something is on its way: wait as long as the seed says."""
    await wait(running().dice.random() * LATENCY)


async def polling() -> None:
    """A consumer has found nothing: it looks again in a while."""
    await wait(running().dice.random() * POLL_SECONDS)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
