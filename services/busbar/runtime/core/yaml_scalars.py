"""Plain scalars of YAML: what YAML 1.1 and 1.2 read alike is read, everything else is refused.

``no`` is false in YAML 1.1 and a text in 1.2; ``010`` is eight and ten; ``1e3`` is a text and a
thousand. The author may mean either, so it has to be put into quotes, or written in a form that
both read alike.

Sources: https://yaml.org/type/ (1.1) and https://yaml.org/spec/1.2.2/#103-core-schema (1.2)
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from busbar.runtime.core.document import (
    InvalidDocumentError,
    Position,
    fraction,
    shown,
    whole_number,
)

CONSTANTS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
"""Null and the booleans; both versions have them."""

# Numbers of YAML 1.2.
_INTEGER = re.compile(r"(?P<ten>[-+]?[0-9]+)|0o(?P<eight>[0-7]+)|0x(?P<sixteen>[0-9a-fA-F]+)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_BASES: Final = {"ten": 10, "eight": 8, "sixteen": 16}

_ALIKE = re.compile(
    r"[-+]?(?:0+[0-7]?|[1-9][0-9]*)|0x[0-9a-fA-F]+"
    r"|(?:[-+]?[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?"
)
"""Of the numbers of 1.2, those that 1.1 reads as the same number."""

_OCTAL = re.compile(r"[-+]?0[0-7]+")

_NOT_TEXT_IN_1_1: Final = (
    ("true", re.compile("y|Y|yes|Yes|YES|on|On|ON")),
    ("false", re.compile("n|N|no|No|NO|off|Off|OFF")),
    ("a merge of mappings", re.compile("<<")),
    ("a default value", re.compile("=")),
    (
        "a date",
        re.compile(
            r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
            r"|[0-9]{4}-[0-9][0-9]?-[0-9][0-9]?(?:[Tt]|[ \t]+)[0-9][0-9]?:[0-9]{2}:[0-9]{2}"
            r"(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9][0-9]?(?::[0-9]{2})?))?"
        ),
    ),
    (
        "a number in base 60",
        re.compile(
            r"[-+]?(?:[1-9][0-9_]*(?::[0-5]?[0-9])+|[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*)"
        ),
    ),
    (
        "a number",
        re.compile(
            r"[-+]?(?:0b[01_]+|0[0-7_]+|[1-9][0-9_]*|0x[0-9a-fA-F_]+)"
            r"|[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?"
        ),
    ),
)
"""What 1.1 makes of texts of 1.2, the first match."""


def value_of(text: str, at: Position) -> Any:
    """Return the value of the plain scalar ``text``.

    Raises:
        InvalidDocumentError: the versions of YAML disagree on it, or JSON does not have it.
    """
    if text in CONSTANTS:
        return CONSTANTS[text]
    if _NOT_FINITE.fullmatch(text):
        raise InvalidDocumentError(
            f"{text} is not a number in JSON", fix="put it into quotes to mean text", position=at
        )
    number = _number(text, at)
    if number is None:
        for meaning, pattern in _NOT_TEXT_IN_1_1:
            if pattern.fullmatch(text):
                raise _ambiguous(_Readings(text, meaning, "a text"), at)
        return text
    if not _ALIKE.fullmatch(text):
        meaning = "octal" if _OCTAL.fullmatch(text) else "a text"
        raise _ambiguous(_Readings(text, meaning, f"the number {_alike(number)}"), at)
    return number


def _number(text: str, at: Position) -> int | float | None:
    if whole := _INTEGER.fullmatch(text):
        kind = str(whole.lastgroup)
        return whole_number(whole[kind], _BASES[kind], at)
    return fraction(text, at) if _FLOAT.fullmatch(text) else None


def _alike(number: float) -> str:
    """Return ``number`` in a form that both versions read."""
    text = repr(number)
    return text if _ALIKE.fullmatch(text) else text.replace("e", ".0e")


@dataclass(frozen=True, slots=True)
class _Readings:
    """A scalar and what each version takes it for."""

    text: str
    older: str
    newer: str


def _ambiguous(readings: _Readings, at: Position) -> InvalidDocumentError:
    fix = "put it into quotes to mean text"
    if readings.older in ("true", "false"):
        fix += f", or write {readings.older}"
    if readings.newer.startswith("the number "):
        fix += f", or write {readings.newer.removeprefix('the number ')}"
    return InvalidDocumentError(
        f"{shown(readings.text)} is {readings.older} in YAML 1.1 and {readings.newer} in YAML 1.2",
        fix=fix,
        position=at,
    )
