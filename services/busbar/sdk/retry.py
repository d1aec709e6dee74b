"""When to ask again. Every call is idempotent: reads are, and an event counts once by its id."""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

RETRIED_STATUSES = frozenset({429, 503})
"""Too many requests, and not available now: the same request may succeed later."""

_LONGEST_WISH = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying:
    """How often to try, and how many seconds to wait in between: doubling up to ``ceiling``."""

    attempts: int = 5
    first: float = 0.2
    ceiling: float = 5.0

    def pause(self, attempt: int, wish: float | None = None) -> float | None:
        """Seconds to wait after failed ``attempt`` (from 1), or None to give up.

        ``wish`` is the server's ``Retry-After``; it is followed up to 30 seconds.
        """
        if attempt >= self.attempts:
            return None
        if wish is not None:
            return min(max(wish, 0.0), _LONGEST_WISH)
        return float(min(self.first * 2 ** (attempt - 1), self.ceiling))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that ``Retry-After`` asks for (RFC 9110 section 10.2.3), or None.

    A date is measured against the answer's own ``Date``, so that no clock is needed.
    """
    wish = headers.get("Retry-After", "").strip()
    if wish.isascii() and wish.isdigit():
        return float(wish)
    try:
        until = parsedate_to_datetime(wish)
        return (until - parsedate_to_datetime(headers.get("Date", ""))).total_seconds()
    except (ValueError, TypeError):
        return None
