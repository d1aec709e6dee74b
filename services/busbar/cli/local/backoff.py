"""The delay before a process that ended is restarted. Pure."""

from dataclasses import dataclass

from busbar.kernel import backoff

HEALTHY_SECONDS = 30.0
"""A process that ran this long was healthy: its next exit counts as the first."""

_DELAYS = backoff.Backoff(first=0.5, longest=10.0)


@dataclass(frozen=True, slots=True)
class RestartBackoff:
    """The number of early exits in a row, and the delay that follows from it."""

    early_exits: int = 0

    def after_exit(self, ran_seconds: float) -> "RestartBackoff":
        """Return the backoff after one more exit, ``ran_seconds`` after the start."""
        return RestartBackoff(1 if ran_seconds >= HEALTHY_SECONDS else self.early_exits + 1)

    @property
    def delay(self) -> float:
        """Seconds to wait before the next start: none at first, then doubling up to ten."""
        return 0.0 if self.early_exits <= 1 else _DELAYS.delay(self.early_exits - 1)
