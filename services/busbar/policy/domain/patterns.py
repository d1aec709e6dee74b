r"""Regular expressions of promises and rules, compiled by RE2 (ADR 18).

The owner of a file writes the pattern, anyone writes the text that it meets. RE2 takes time that
is linear in the text, whatever the pattern; in exchange it has no lookaround and no
backreferences, which are refused when the file is loaded.

Patterns are searched for, not anchored, as JSON Schema has it. ``^`` and ``$`` are the very start
and end of the text (a final newline is not passed over), ``.`` is anything but a newline, and
``\d``, ``\w``, ``\s`` and ``\b`` go by ASCII; ``\p{L}`` and the like go by Unicode.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import re2

from busbar.kernel.text import truncate

MAX_TEXT: Final = 1024
"""The longest text, in characters, that a pattern is tried on."""

_MAX_MEMORY: Final = 512 * 1024
"""Bytes that one compiled pattern may use, the automaton it builds while searching included."""

_MAX_COMPILED: Final = 256
"""Compiled patterns that are kept: 128 MiB if each of them used its memory to the last byte."""


@dataclass(frozen=True, slots=True)
class PatternProblem:
    """The reason to refuse a pattern, and what to write instead."""

    problem: str
    fix: str


class _UnsupportedError(ValueError):
    """A pattern that RE2 compiles and that is refused here."""


_LOOKAROUND: Final = (
    "lookaround is not supported",
    "write one pattern per condition: matches and not_matches in a rule, allOf and not in a schema",
)
_BACKREFERENCE: Final = (
    "backreferences are not supported",
    "write out the texts that may be repeated, (aa|bb) for instance",
)
_POSSESSIVE: Final = (
    "possessive repeats and atomic groups are not supported",
    "write a plain repeat or group; matching never backtracks here",
)
_UNICODE_ESCAPE: Final = (r"the escape \u is not supported", r"write \x{20AC} or the character")
_SCRIPT: Final = (
    "properties with a name and a value are not supported",
    r"write the value alone, \p{Greek} for instance",
)
_REPEAT: Final = (
    "it repeats something more than 1000 times, nested repeats multiplied",
    "limit lengths with maxLength in a schema, and repeat less often here",
)
_SIZE: Final = ("it is too large", "split it, or limit lengths with maxLength in a schema")
_BYTE: Final = (r"\C matches half a character", "write (?s:.) for any character")
_EXPLAINED: Final[tuple[tuple[str, tuple[str, str]], ...]] = (
    ("invalid perl operator: (?=", _LOOKAROUND),
    ("invalid perl operator: (?!", _LOOKAROUND),
    ("invalid perl operator: (?<", _LOOKAROUND),
    ("invalid perl operator: (?P", _BACKREFERENCE),
    ("invalid perl operator: (?>", _POSSESSIVE),
    (r"invalid escape sequence: \k", _BACKREFERENCE),
    *((rf"invalid escape sequence: \{digit}", _BACKREFERENCE) for digit in "123456789"),
    (r"invalid escape sequence: \u", _UNICODE_ESCAPE),
    (r"invalid escape sequence: \Z", (r"the escape \Z is not supported", "write $")),
    (r"invalid escape sequence: \c", (r"the escape \c is not supported", r"write \x01 to \x1A")),
    (r"invalid escape sequence: \C", _BYTE),
    (r"invalid character class range: \p{", _SCRIPT),
    (r"invalid character class range: \P{", _SCRIPT),
    ("missing ]: []", ("a class is empty or not closed", r"write [\]] for a bracket")),
    ("missing ]: [^]", ("a class is empty or not closed", "write (?s:.) for any character")),
    ("bad repetition operator: ++", _POSSESSIVE),
    ("bad repetition operator: *+", _POSSESSIVE),
    ("bad repetition operator: ?+", _POSSESSIVE),
    ("invalid repetition size", _REPEAT),
    ("pattern too large", _SIZE),
)


def problem_with(pattern: str) -> PatternProblem | None:
    """Return why ``pattern`` is refused, or None if it can be searched for."""
    try:
        _compiled(pattern)
    except UnicodeEncodeError:
        return PatternProblem("the pattern is not valid Unicode", "remove the lone surrogate")
    except (re2.error, _UnsupportedError) as error:
        return _explained(pattern, _reason(error))
    return None


def search(pattern: str, text: str) -> bool | None:
    """Return whether ``pattern`` occurs in ``text``.

    None means that it cannot be tried: the text is longer than :data:`MAX_TEXT`, or it is not
    valid Unicode.

    Raises:
        re2.error: :func:`problem_with` refuses the pattern.
    """
    if len(text) > MAX_TEXT:
        return None
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        return None
    return _compiled(pattern).search(encoded) is not None


@lru_cache(maxsize=_MAX_COMPILED)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.max_mem = _MAX_MEMORY
    options.log_errors = False  # it would write the pattern to stderr
    compiled = re2.compile(pattern.encode(), options)
    if r"\C" in pattern.replace(r"\\", ""):
        raise _UnsupportedError(r"invalid escape sequence: \C")
    return compiled


def _reason(error: Exception) -> str:
    """Return RE2's message, which its Python module passes as bytes."""
    reason = error.args[0] if error.args else ""
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


def _explained(pattern: str, reason: str) -> PatternProblem:
    for start, (what, fix) in _EXPLAINED:
        if reason.startswith(start):
            return PatternProblem(f"the pattern {_quoted(pattern)} is refused: {what}", fix)
    return PatternProblem(
        f"{_quoted(pattern)} is not a regular expression ({_quoted(reason)})",
        "see https://github.com/google/re2/wiki/Syntax",
    )


def _quoted(text: str) -> str:
    return repr(truncate(text))
