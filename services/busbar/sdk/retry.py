"""When to send a request again. Every request is idempotent: an event counts once by its id."""

from collections.abc import Mapping
from dataclasses import dataclass

from busbar.kernel.backoff import Backoff
from busbar.kernel.retry_after import http_date, retry_after_seconds

RETRIED_STATUSES = frozenset({429, 503})
"""Too many requests, and service unavailable: the same request may succeed later."""

MAX_RETRY_AFTER = 30.0
"""The longest ``Retry-After`` that is followed, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """The number of attempts for a request, and the delays between them, in seconds.

    Delays double from ``first`` to ``longest``. No attempt begins after ``within`` seconds, if it
    is given: attempts that end by a time limit take long.
    """

    attempts: int = 5
    first: float = 0.2
    longest: float = 5.0
    within: float | None = None

    def delay(
        self, attempt: int, retry_after: float | None = None, *, taken: float = 0.0
    ) -> float | None:
        """Return the seconds to wait after failed ``attempt`` (from 1); None to give up.

        The server's ``retry_after`` takes precedence, up to :data:`MAX_RETRY_AFTER`. All attempts
        until now have ``taken`` so many seconds.
        """
        delay = self._delay(attempt, retry_after)
        too_late = self.within is not None and delay is not None and taken + delay > self.within
        return None if too_late else delay

    def _delay(self, attempt: int, retry_after: float | None) -> float | None:
        if attempt >= self.attempts:
            return None
        if retry_after is not None:
            return min(max(retry_after, 0.0), MAX_RETRY_AFTER)
        return Backoff(self.first, self.longest).delay(attempt)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the header ``Retry-After`` asks for, or None.

    A date is compared with the response's own ``Date``, so that no clock is needed.
    """
    now = http_date(headers.get("Date", ""))
    return retry_after_seconds(headers.get("Retry-After", ""), now=now)
