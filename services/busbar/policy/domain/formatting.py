"""Plain words: how values, places and near misses are put to the people who read a refusal."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

Place = tuple[str | int, ...]
"""Where something is in a JSON tree: keys and indexes."""

MAX_LISTED: Final = 12
"""How many alternatives a sentence names before it says `and more`."""

_MAX_SHOWN: Final = 80


@dataclass(frozen=True, slots=True)
class InputProblem:
    """One thing that is wrong with a promise or a rule: where, what, and what to do."""

    place: Place
    problem: str
    fix: str


def pointer(place: Iterable[str | int]) -> str:
    """``place`` as an RFC 6901 JSON pointer."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)


def dotted(place: Iterable[str | int]) -> str:
    """``place`` as people write it: ``dead_letters.replicas``."""
    return ".".join(str(part) for part in place)


def show(value: Any) -> str:
    """``value`` as JSON, cut short where it is long."""
    try:
        return shorten(json.dumps(value, ensure_ascii=False, default=str))
    except (ValueError, RecursionError):
        return "a value too large to show"


def shorten(text: str) -> str:
    """``text``, cut short where it is long."""
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


def listed(names: Sequence[str]) -> str:
    """``a, b, c``, or `none` for nothing."""
    if not names:
        return "none"
    more = " and more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more


def did_you_mean(unknown: str, known: Iterable[str], *, otherwise: str) -> str:
    """``did you mean 'x'?`` if something known is close to ``unknown``, else ``otherwise``."""
    close = get_close_matches(shorten(unknown), sorted(known), n=1)
    return f"did you mean {close[0]!r}? {otherwise}" if close else otherwise
