"""Formatting of values and places in the messages of denials and file errors."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from busbar.kernel import json_pointer
from busbar.kernel.json_schema import Place
from busbar.kernel.text import truncate


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
