"""Exponential backoff with random jitter."""

from collections.abc import Callable
from dataclasses import dataclass
from random import SystemRandom

from busbar.kernel import backoff

Jitter = Callable[[], float]
"""Returns a number from 0 up to 1."""

_random = SystemRandom()


def jitter() -> float:
    """Return a random number from 0 up to 1."""
    return _random.random()


@dataclass(frozen=True, slots=True)
class Backoff(backoff.Backoff):
    """Delays that double from ``first`` to ``longest`` seconds, half of each of them random."""

    jitter: Jitter = jitter

    def after(self, failures: int) -> float:
        """Return the seconds to wait after ``failures`` failures in a row (from 1)."""
        return self.delay(failures, jitter=self.jitter())


UNREACHABLE = Backoff(first=0.1, longest=1.0)
"""Waits while a database or broker is unreachable.

They stay short, because the longest one is how long work rests once the peer answers again.
"""
