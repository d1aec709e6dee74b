"""Times on the command line: RFC 3339, or relative to now."""

import re
from datetime import datetime, timedelta

from rich.console import Console

from busbar.cli.shared.exits import usage
from busbar.cli.shared.output import plain
from busbar.kernel.clock import parse_time
from busbar.runtime.core.clock import SystemClock

NARROW_COLUMNS = 120
"""Terminals with fewer columns show ages instead of times."""

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


def shown(time: str) -> str:
    """Return ``time`` (RFC 3339) as a cell: its age in a narrow terminal, else as it is."""
    console = Console()
    if not console.is_terminal or console.width >= NARROW_COLUMNS:
        return plain(time)
    return age(time, now=SystemClock().now())


def age(time: str, *, now: datetime) -> str:
    """Return how long ago ``time`` (RFC 3339) was, as ``5m``; other text as it is."""
    try:
        seconds = int((now - parse_time(time)).total_seconds())
    except ValueError:
        return plain(time)
    for unit, length in reversed(_UNITS.items()):
        count = seconds // int(length.total_seconds())
        if unit != "w" and count >= (1 if unit in "sm" else 2):
            return f"{count}{unit}"
    return "0s"
