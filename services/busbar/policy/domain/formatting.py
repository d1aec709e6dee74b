"""Formatting of values, places and suggestions in the messages of denials and file errors."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from busbar.kernel import json_pointer
from busbar.kernel.text import truncate

Place = tuple[str | int, ...]
"""A place in a JSON tree: keys and indexes."""

MAX_LISTED: Final = 12
"""Alternatives that a sentence names before it says `and more`."""


@dataclass(frozen=True, slots=True)
class InputProblem:
    """An error in an intent, a promise or a rule: its place, what is wrong, and what to do."""

    place: Place
    problem: str
    fix: str


def pointer(place: Iterable[str | int]) -> str:
    """Return ``place`` as an RFC 6901 JSON pointer."""
    return json_pointer.join(place)


def dotted(place: Iterable[str | int]) -> str:
    """Return ``place`` with dots: ``dead_letters.replicas``."""
    return ".".join(str(part) for part in place)


def show(value: Any) -> str:
    """Return ``value`` as JSON, truncated if it is long."""
    try:
        return truncate(json.dumps(value, ensure_ascii=False, default=str))
    except (ValueError, RecursionError):
        return "a value too large to show"


def listed(names: Sequence[str]) -> str:
    """Return ``a, b, c``, or `none`."""
    if not names:
        return "none"
    more = " and more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more


def did_you_mean(unknown: str, known: Iterable[str], *, otherwise: str) -> str:
    """Return ``did you mean 'x'?`` if a known name is close to ``unknown``, and ``otherwise``."""
    close = get_close_matches(truncate(unknown), sorted(known), n=1)
    return f"did you mean {close[0]!r}? {otherwise}" if close else otherwise
