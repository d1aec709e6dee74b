r"""Regular expressions of promises and rules, read as JSON Schema means them (ECMA-262).

Two things differ in Python and are set right here: ``$`` is the very end (Python's also matches
before a last newline), and ``\d`` and ``\w`` are ASCII. Patterns meet text that strangers wrote,
so a repeat inside a repeated group, which can take exponential time, is refused when the file is
loaded, and no text over :data:`MAX_TEXT` characters is matched at all.
"""

import re
import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

MAX_TEXT: Final = 1024
"""The longest text, in characters, that a pattern is tried on."""

_HARMLESS_REPEATS: Final = 10
"""A group may be repeated this often even if something inside it repeats."""

_QUANTIFIER = re.compile(r"(?P<simple>[*+?])|\{(?P<low>\d*)(?P<comma>,?)(?P<high>\d*)\}")
_PART = re.compile(
    r"""\\.                                # an escaped character
      | \[\^?\]?(?:\\.|[^\]\\])*\]         # a class
      | \(\?[:=!]|\(\?<[=!]|\(\?P?<\w+>|\( # the start of a group
      | \)                                 # its end
      | (?:[*+]|\{\d*,?\d*\}|\?)\??        # a repeat, lazy or not
      | .                                  # anything else""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(slots=True)
class _Reader:
    """What is known so far of a pattern that is read part by part."""

    parts: list[str] = field(default_factory=list)
    groups: list[bool] = field(default_factory=lambda: [False])
    closed: bool | None = None
    dangerous: bool = False

    def take(self, part: str) -> None:
        """Read one part; groups hold whether a repeat stands inside them."""
        closed, self.closed = self.closed, None
        self.parts.append(r"\Z" if part == "$" else part)
        if part.startswith("("):
            self.groups.append(False)
        elif part == ")" and len(self.groups) > 1:
            self.closed = self.groups.pop()
            self.groups[-1] |= self.closed
        elif quantifier := _QUANTIFIER.match(part):
            self._repeat(quantifier, closed=closed)

    def _repeat(self, quantifier: re.Match[str], *, closed: bool | None) -> None:
        simple, low, comma, high = quantifier.group("simple", "low", "comma", "high")
        most = high if comma else low
        endless = simple in {"*", "+"} or (simple is None and not most)
        if closed and (endless or int(most or 0) > _HARMLESS_REPEATS):
            self.dangerous = True
        if endless or comma:
            self.groups[-1] = True


def _read(pattern: str) -> _Reader:
    reader = _Reader()
    for part in _PART.findall(pattern):
        reader.take(part)
    return reader


def problem_with(pattern: str) -> str | None:
    """Why ``pattern`` is refused, or None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what Python may read differently one day is refused
            compiled(pattern)
    except (re.error, Warning, OverflowError, RecursionError) as error:
        return f"{pattern!r} is not a regular expression ({error})"
    if _read(pattern).dangerous:
        return f"{pattern!r} repeats a group that repeats something itself, which may take for ever"
    return None


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """``pattern``, ready to search with.

    Raises:
        re.error: it is no regular expression; :func:`problem_with` says so in words.
    """
    return re.compile("".join(_read(pattern).parts), re.ASCII)


def found(pattern: str, text: str) -> bool | None:
    """Whether ``pattern`` occurs in ``text``; None if the text is too long to try."""
    if len(text) > MAX_TEXT:
        return None
    return compiled(pattern).search(text) is not None
