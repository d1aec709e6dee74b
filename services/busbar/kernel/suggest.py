"""Suggestions in messages: the known name that is closest to an unknown one."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Final

from busbar.kernel.text import truncate

MAX_LISTED: Final = 12
"""Alternatives that a sentence names before it says `and more`."""


def listed(names: Sequence[str]) -> str:
    """Return ``a, b, c``, or `none`."""
    if not names:
        return "none"
    more = " and more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more


def did_you_mean(unknown: str, known: Iterable[str], *, otherwise: str) -> str:
    """Return ``did you mean 'x'?`` if a known name is close to ``unknown``, and ``otherwise``."""
    close = closest(unknown, known)
    return f"did you mean {close!r}? {otherwise}" if close else otherwise


def closest(unknown: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like ``unknown``, or None if none is like it."""
    found = get_close_matches(truncate(unknown), sorted(known), n=1)
    return found[0] if found else None
