"""A document that people wrote: its data, the position of every value, and what is wrong with it.

The limits hold for YAML and JSON alike. Whole numbers end at 2^53 - 1, where readers in other
languages begin to lose digits (https://www.rfc-editor.org/rfc/rfc7493#section-2.2).
"""

from dataclasses import dataclass, field
from typing import Any, Final

from busbar.kernel.numbers import MAX_WHOLE
from busbar.kernel.text import truncate

MAX_BYTES: Final = 256 * 1024
"""The largest file, unless the caller allows more."""

MAX_DEPTH: Final = 64
"""The deepest nesting."""

MAX_VALUES: Final = 100_000
"""Values in one document: far more than an event of 1 MB holds."""

_MAX_DIGITS: Final = 400

Place = tuple[str | int, ...]
"""A place in a document: keys and indexes."""


@dataclass(frozen=True, slots=True)
class Position:
    """A position in a text, counted from 1; columns count characters."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


class InvalidDocumentError(ValueError):
    """A text that cannot be loaded: what is wrong, where, and what to do about it."""

    def __init__(self, problem: str, *, fix: str, position: Position | None = None) -> None:
        super().__init__(f"{position}: {problem} ({fix})" if position else f"{problem} ({fix})")
        self.problem = problem
        self.fix = fix
        self.position = position


@dataclass(frozen=True, slots=True)
class Mark:
    """The position of a value, or of its key, and the marks of what is inside it."""

    position: Position
    inside: dict[str, "Mark"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """The data of one document, and where they are in its text."""

    data: Any
    root: Mark = field(repr=False)

    def position_of(self, place: Place) -> Position:
        """Return the position of ``place``, or of its innermost parent that is there."""
        mark = self.root
        for part in place:
            inside = mark.inside.get(str(part))
            if inside is None:
                break
            mark = inside
        return mark.position


def shown(value: Any) -> str:
    """Return ``value`` for an error message."""
    return truncate(repr(value))


def whole_number(digits: str, base: int, at: Position) -> int:
    """Return the number that ``digits`` write.

    Raises:
        InvalidDocumentError: it is beyond 2^53 - 1.
    """
    number = int(digits, base) if len(digits) <= _MAX_DIGITS else MAX_WHOLE + 1
    if abs(number) <= MAX_WHOLE:
        return number
    raise InvalidDocumentError(
        f"the number {truncate(digits)} is beyond 2^53 - 1, where other readers lose digits",
        fix="put it into quotes to mean text, or write a smaller number",
        position=at,
    )


def too_large(max_bytes: int) -> InvalidDocumentError:
    """Return the error for a text of more than ``max_bytes``."""
    return InvalidDocumentError(
        f"it is larger than {max_bytes // 1024} kB", fix="split it into several files"
    )


def fraction(text: str, at: Position) -> float:
    """Return the number with a fraction or an exponent that ``text`` writes.

    Raises:
        InvalidDocumentError: it is too large, or so small that only zero is left of it.
    """
    number = float(text)
    mantissa = text.lower().partition("e")[0]
    vanishes = number == 0 and mantissa.strip("+-0.") != ""
    if number - number == 0 and not vanishes:
        return number
    raise InvalidDocumentError(
        f"the number {truncate(text)} is too {'small' if vanishes else 'large'}",
        fix="put it into quotes to mean text",
        position=at,
    )
