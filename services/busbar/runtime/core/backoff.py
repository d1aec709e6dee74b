"""How long to wait before the next try, so that many who wait do not come back all at once."""

from collections.abc import Callable
from dataclasses import dataclass
from random import SystemRandom

Jitter = Callable[[], float]
"""Gives a number from 0 up to 1."""

_random = SystemRandom()


def jitter() -> float:
    """What nobody can foretell."""
    return _random.random()


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double from ``first`` to ``longest`` seconds, half of each left to chance.

    Source: "equal jitter" in Marc Brooker, Exponential Backoff And Jitter, AWS Architecture Blog.
    """

    first: float
    longest: float
    jitter: Jitter = jitter

    def after(self, failures: int) -> float:
        """Seconds to wait after ``failures`` failures in a row (from 1)."""
        whole = min(self.first * 2.0 ** min(max(failures - 1, 0), 30), self.longest)
        return whole * (1 + self.jitter()) / 2
