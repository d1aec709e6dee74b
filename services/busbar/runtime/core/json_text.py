"""A strict reader of JSON that people wrote, with the position of every value.

It reads RFC 8259 and nothing else. Refused besides: duplicate keys, half of a surrogate pair, and
numbers that other readers would change. A byte order mark in front is skipped.

Source: https://www.rfc-editor.org/rfc/rfc8259
"""

import json
import re
from bisect import bisect_right
from collections.abc import Callable
from typing import Any, Final

from busbar.runtime.core.document import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_VALUES,
    Document,
    InvalidDocumentError,
    Mark,
    Position,
    fraction,
    shown,
    too_large,
    whole_number,
)

_SPACE = re.compile(r"[ \t\n\r]*")
_LINE_END = re.compile(r"\r\n|\r|\n")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"')
_STRING_BEGIN = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
_NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*))((?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONSTANTS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}
_WORD = re.compile(r"[A-Za-z_$][\w$]*|[-+]?[0-9.][\w.+-]*")
_VALUE: Final = "a value"


class NotJsonError(InvalidDocumentError):
    """The text does not have the form of JSON; it may still be YAML."""


def load(text: str, *, max_bytes: int = MAX_BYTES) -> Document:
    """Load the JSON document ``text``.

    Raises:
        NotJsonError: it is not JSON.
        InvalidDocumentError: it is JSON, but too large or not read alike by everyone.
    """
    if len(text.encode("utf-8", "surrogatepass")) > max_bytes:
        raise too_large(max_bytes)
    return _Reader(text).document()


class _Reader:
    """Reads one document; ``_at`` is the index of the next character."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = [0, *(end.end() for end in _LINE_END.finditer(text))]
        self._at = 1 if text.startswith("\ufeff") else 0
        self._values = 0

    def document(self) -> Document:
        self._skip()
        data, mark = self._value(self._position(), depth=0)
        if self._at < len(self._text):
            raise self._unexpected("the end of the document")
        return Document(data=data, root=mark)

    def _value(self, at: Position, *, depth: int) -> tuple[Any, Mark]:
        """Read a value and the space behind it; ``at`` is where people look for it."""
        self._values += 1
        if self._values > MAX_VALUES:
            raise self._refused(f"it holds more than {MAX_VALUES} values", "split it")
        character = self._text[self._at : self._at + 1]
        if character in ("{", "["):
            if depth >= MAX_DEPTH:
                raise self._refused(f"it is nested more than {MAX_DEPTH} deep", "make it flatter")
            return (self._object if character == "{" else self._array)(at, depth=depth + 1)
        value = self._string() if character == '"' else self._plain()
        self._skip()
        return value, Mark(at)

    def _array(self, at: Position, *, depth: int) -> tuple[list[Any], Mark]:
        items: list[Any] = []
        mark = Mark(at)

        def item() -> None:
            value, mark.inside[str(len(items))] = self._value(self._position(), depth=depth)
            items.append(value)

        self._members("]", item)
        return items, mark

    def _object(self, at: Position, *, depth: int) -> tuple[dict[str, Any], Mark]:
        members: dict[str, Any] = {}
        mark = Mark(at)

        def member() -> None:
            key_at = self._position()
            if self._text[self._at : self._at + 1] != '"':
                raise self._unexpected("a key in double quotes")
            begin = self._at
            key = self._string()
            if key in members:
                self._at = begin
                raise self._refused(f"the key {shown(key)} is there twice", "remove one of them")
            self._skip()
            self._expect(":")
            members[key], mark.inside[key] = self._value(key_at, depth=depth)

        self._members("}", member)
        return members, mark

    def _members(self, close: str, read_one: Callable[[], None]) -> None:
        self._at += 1
        self._skip()
        if self._text[self._at : self._at + 1] == close:
            self._at += 1
            self._skip()
            return
        while True:
            read_one()
            if self._text[self._at : self._at + 1] == close:
                self._at += 1
                self._skip()
                return
            self._expect(",", f"a comma or {close}")

    def _string(self) -> str:
        matched = _STRING.match(self._text, self._at)
        if matched is None:
            begun = _STRING_BEGIN.match(self._text, self._at)
            self._at = begun.end() if begun else self._at
            raise self._not_json(
                "a string ends here without its quote, or has a character that must be escaped",
                'write \\n, \\t, \\", \\\\ or \\u and four digits, and end it with "',
            )
        raw = matched[0]
        value: str = json.loads(raw) if "\\" in raw else raw[1:-1]
        if _SURROGATE.search(value):
            raise self._refused("half of a surrogate pair is missing", "write both halves")
        self._at = matched.end()
        return value

    def _plain(self) -> Any:
        matched = _WORD.match(self._text, self._at)
        word = matched[0] if matched else ""
        if word in _CONSTANTS:
            self._at += len(word)
            return _CONSTANTS[word]
        number = _NUMBER.fullmatch(word)
        if number is None:
            raise self._unexpected(_VALUE)
        at = self._position()
        value = fraction(word, at) if number[2] else whole_number(word, 10, at)
        self._at += len(word)
        return value

    def _expect(self, character: str, name: str = "") -> None:
        if self._text[self._at : self._at + 1] != character:
            raise self._unexpected(name or character)
        self._at += 1
        self._skip()

    def _skip(self) -> None:
        matched = _SPACE.match(self._text, self._at)
        self._at = matched.end() if matched else self._at

    def _position(self) -> Position:
        line = bisect_right(self._lines, self._at)
        return Position(line, self._at - self._lines[line - 1] + 1)

    def _unexpected(self, wanted: str) -> NotJsonError:
        rest = _WORD.match(self._text, self._at)
        found = rest[0] if rest else self._text[self._at : self._at + 1]
        there = f"{shown(found)} is there" if found else "the text ends"
        return self._not_json(f"{there}, where {wanted} must be", "correct it there or just before")

    def _not_json(self, problem: str, fix: str) -> NotJsonError:
        return NotJsonError(f"it is not valid JSON: {problem}", fix=fix, position=self._position())

    def _refused(self, problem: str, fix: str) -> InvalidDocumentError:
        return InvalidDocumentError(problem, fix=fix, position=self._position())
