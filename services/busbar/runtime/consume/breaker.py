"""The stop on mass failure: a broken consumer must not dead-letter everything there is.

Failures that count are the consumer's own: a handler that fails, a fact that it cannot read. What
strangers send and nobody could read does not count, or any producer could stop the platform.
"""

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Breaker:
    """Says when to stop: after ``in_a_row`` failures, or more than ``share`` of the last minute's.

    The share counts once the window has seen ``least`` messages, so that a few failures on a
    quiet topic stop nothing.
    """

    in_a_row: int = 100
    share: float = 0.2
    window: float = 60.0
    least: int = 100
    _row: int = 0
    _recent: deque[tuple[float, int, int]] = field(default_factory=deque)
    """The second that began then: how many were handled, how many failed."""

    def verdict(self, *, handled: int, failed: int, now: float) -> str | None:
        """Why to stop rather than take ``failed`` more failures; None while that is bearable."""
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
        """Count what has been committed."""
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
