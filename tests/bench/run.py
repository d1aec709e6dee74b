"""One run: how large it is, how often each side has its turn, and who hears of it."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import median

from bench.profiles import Profiles
from bench.report import Row

Side = Callable[[], Awaitable[float]]
"""Runs one round; returns its rate."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The options of a run. ``say`` prints progress."""

    quick: bool
    rounds: int
    seed: int
    say: Say
    profiles: Profiles | None = field(default=None, repr=False)

    def size(self, full: int, *, quick: int) -> int:
        """Return a size: ``full``, or ``quick`` to see that it works."""
        return quick if self.quick else full

    @asynccontextmanager
    async def own_side(self) -> AsyncIterator[None]:
        """Profile the block: it runs the product, not the limit."""
        if self.profiles is None:
            yield
            return
        with self.profiles.sampling():
            yield


Measure = Callable[[Run], Awaitable[list[Row]]]


async def beside(run: Run, name: str, unit: str, *, ours: Side, limit: Side, called: str) -> Row:
    """The medians of ``ours`` and of ``limit``, which take turns: noise hits both alike."""
    own: list[float] = []
    best: list[float] = []
    for number in range(1, run.rounds + 1):
        best.append(await _turn(limit))
        own.append(await _turn(ours))
        share = own[-1] / best[-1]
        run.say(
            f"  {name} {number}/{run.rounds}: {own[-1]:,.0f} {unit}, "
            f"{called} {best[-1]:,.0f}, ratio {share:.3f}"
        )
    return Row.beside(name, median(own), unit, (called, median(best)))


async def _turn(side: Side) -> float:
    gc.collect()
    await asyncio.sleep(0)
    return await side()
