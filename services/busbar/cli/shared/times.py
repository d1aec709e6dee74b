"""Times on the command line: RFC 3339, or relative to now."""

import re
from datetime import datetime, timedelta

from busbar.cli.shared.exits import usage
from busbar.kernel.clock import parse_time

_AGO = re.compile(r"(?P<count>\d{1,6})\s*(?P<unit>s|m|h|d|w)(?:\s+ago)?", re.ASCII)
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def parse_time_argument(text: str, *, now: datetime) -> datetime:
    """Return the time of ``text``: ``2026-01-31T12:00:00Z``, ``now``, ``10m ago``, ``2d``.

    Raises:
        CommandError: it is not a valid time.
    """
    text = text.strip()
    if text == "now":
        return now
    ago = _AGO.fullmatch(text)
    try:
        if ago:
            return now - int(ago["count"]) * _UNITS[ago["unit"]]
        return parse_time(text)
    except (ValueError, OverflowError) as error:
        raise usage(
            f"{text!r} is not a valid time.",
            fix="Write 2026-01-31T12:00:00Z (or with an offset), now, or 10m ago (s, m, h, d, w).",
        ) from error
