"""How long to wait before a process that died is started again. Pure."""

from dataclasses import dataclass

from busbar.kernel import backoff

HEALTHY_SECONDS = 30.0
"""A process that lived this long was healthy: its next death counts as the first."""

_DELAYS = backoff.Backoff(first=0.5, longest=10.0)


@dataclass(frozen=True, slots=True)
class Backoff:
    """The number of early deaths in a row."""

    deaths: int = 0

    def died(self, lived: float) -> "Backoff":
        """Return the backoff after one more death, ``lived`` seconds after the start."""
        return Backoff(1 if lived >= HEALTHY_SECONDS else self.deaths + 1)

    @property
    def pause(self) -> float:
        """Seconds to wait before the next start: none at first, then doubling up to ten."""
        return 0.0 if self.deaths <= 1 else _DELAYS.delay(self.deaths - 1)
