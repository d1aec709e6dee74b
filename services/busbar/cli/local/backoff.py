"""When to start again what has died. Pure."""

from dataclasses import dataclass

HEALTHY_SECONDS = 30.0
"""Who has lived so long is healthy: its next death counts as the first."""

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often in a row something has died young."""

    deaths: int = 0

    def died(self, lived: float) -> "Backoff":
        """After one more death, ``lived`` seconds after its start."""
        return Backoff(1 if lived >= HEALTHY_SECONDS else self.deaths + 1)

    @property
    def pause(self) -> float:
        """Seconds to wait before the next start: none at first, then doubling up to ten."""
        if self.deaths <= 1:
            return 0.0
        return float(min(FIRST_SECONDS * 2 ** min(self.deaths - 2, 16), LONGEST_SECONDS))
