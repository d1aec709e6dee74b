"""The HTTP header ``Retry-After`` (RFC 9110 section 10.2.3)."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

_SECONDS: Final = re.compile(r"[0-9]+")
_MAX_DIGITS: Final = 9


def retry_after_seconds(header: str, *, now: datetime | None) -> float | None:
    """Return the seconds that a ``Retry-After`` of seconds or of an HTTP-date asks for.

    A date in the past gives 0. A header that is neither gives None, as does a date without
    ``now``.
    """
    text = header.strip()
    if _SECONDS.fullmatch(text):
        # Longer numbers are decades; every cap is below them.
        return float(text) if len(text) <= _MAX_DIGITS else 10.0**_MAX_DIGITS
    date = http_date(text)
    return None if date is None or now is None else max(0.0, (date - now).total_seconds())


def http_date(text: str) -> datetime | None:
    """Return the HTTP-date that ``text`` holds, or None (RFC 9110 section 5.6.7)."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError, TypeError):  # what the standard library raises
        return None
    # The asctime form has no zone; RFC 9110 reads it as UTC.
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
