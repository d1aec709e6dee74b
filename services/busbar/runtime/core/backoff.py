"""Exponential backoff with jitter, so that many waiters do not retry simultaneously."""

from collections.abc import Callable
from dataclasses import dataclass
from random import SystemRandom

Jitter = Callable[[], float]
"""Returns a number from 0 up to, but not including, 1."""

_random = SystemRandom()


def jitter() -> float:
    """Return an unpredictable number from 0 up to 1."""
    return _random.random()


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double from ``first`` to ``longest`` seconds, half of each jittered.

    Source: "equal jitter" in Marc Brooker, Exponential Backoff And Jitter, AWS Architecture Blog.
    """

    first: float
    longest: float
    jitter: Jitter = jitter

    def after(self, failures: int) -> float:
        """Return the seconds to wait after ``failures`` consecutive failures (1 or more)."""
        whole = min(self.first * 2.0 ** min(max(failures - 1, 0), 30), self.longest)
        return whole * (1 + self.jitter()) / 2
