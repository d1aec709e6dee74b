"""The circuit breaker: a broken consumer stops instead of dead-lettering every record.

Only failures of the consumer itself count: a handler that fails, a fact that it cannot read.
Invalid intents do not count, or any producer could stop the platform.
"""

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Breaker:
    """A breaker that opens after ``in_a_row`` failures, or a failure rate above ``share``.

    The rate is taken over the last ``window`` seconds, and only applies once they contain more
    than ``least`` messages, so that a few failures on a quiet topic do not stop the consumer.
    """

    in_a_row: int = 100
    share: float = 0.2
    window: float = 60.0
    least: int = 100
    _row: int = 0
    _recent: deque[tuple[float, int, int]] = field(default_factory=deque)
    """One entry per second: its start, and how many messages were handled and failed in it."""

    def verdict(self, *, handled: int, failed: int, now: float) -> str | None:
        """Return the reason to stop instead of committing ``failed`` more failures, or None."""
        if not failed:
            return None
        row = failed if handled else self._row + failed
        if row > self.in_a_row:
            return f"{self.in_a_row} messages in a row failed"
        self._forget(now)
        all_failed = failed + sum(failures for _, _, failures in self._recent)
        everything = all_failed + handled + sum(good for _, good, _ in self._recent)
        if everything > self.least and all_failed > self.share * everything:
            return (
                f"{all_failed} of the last {everything} messages failed "
                f"within {self.window:g} seconds"
            )
        return None

    def note(self, *, handled: int, failed: int, now: float) -> None:
        """Count committed messages."""
        if not handled and not failed:
            return
        self._row = failed if handled else self._row + failed
        if self._recent and now - self._recent[-1][0] < 1:
            then, good, bad = self._recent.pop()
            self._recent.append((then, good + handled, bad + failed))
        else:
            self._recent.append((now, handled, failed))
        self._forget(now)

    def _forget(self, now: float) -> None:
        while self._recent and self._recent[0][0] <= now - self.window:
            self._recent.popleft()
