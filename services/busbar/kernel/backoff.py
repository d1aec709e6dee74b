"""Exponential backoff: how long to wait before the next attempt."""

from dataclasses import dataclass

_MAX_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that double from ``first`` to ``longest`` seconds."""

    first: float
    longest: float

    def delay(self, failures: int, *, jitter: float | None = None) -> float:
        """Return the seconds to wait after ``failures`` failures in a row (from 1).

        With ``jitter``, a random number in [0, 1), the result lies between half of the delay and
        the whole of it, so that clients which failed together do not retry together.
        Source: "equal jitter" in Marc Brooker, Exponential Backoff And Jitter, AWS Architecture
        Blog.
        """
        doublings = min(max(failures - 1, 0), _MAX_DOUBLINGS)
        whole = min(self.first * 2.0**doublings, self.longest)
        return whole if jitter is None else whole * (1 + jitter) / 2
