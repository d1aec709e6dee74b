"""Strict and fast JSON: https://www.rfc-editor.org/rfc/rfc8259 without ambiguities.

orjson already refuses bad UTF-8, a byte order mark, NaN, lone surrogates and trailing text. It
accepts four things that two readers may interpret differently, and this module refuses them:
duplicate keys, integers beyond 64 bits (which orjson rounds to floats), deep nesting and, when
writing, NaN (which orjson turns into null).
"""

import json
import math
import re
from typing import Any

import orjson

from busbar.kernel.canonical import outside_strings
from busbar.messages.envelope import Unreadable

MAX_LEVELS = 64
"""The maximum nesting of arrays and objects."""

_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1
_INT_MAX_CHARS = len(str(_INT_MAX))

# An integer that may not fit: without a fraction or exponent, and not part of one.
_LONG_INTEGER = re.compile(rb"(?<![0-9.eE+-])-?[0-9]{19,}+(?![.eE])")
_LONG_RUN = b"0" * 19
_DIGITS_ALIKE = bytes.maketrans(b"123456789", b"0" * 9)
_ARRAYS_ONLY = bytes.maketrans(b"{}", b"[]")
_NO_OPENING = bytes(set(range(256)) - set(b"[{"))
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_MAX_SHOWN = 40
_MAX_SPELLED = 80


def shown(name: str) -> str:
    """Return ``name`` quoted for an error message: ASCII, one line, short."""
    start = name[:_MAX_SHOWN]
    while len(json.dumps(start)) > _MAX_SPELLED:  # outside ASCII a letter takes up to 12 characters
        start = start[:-1]
    return json.dumps(name if start == name else start + "...")


def load_json(data: bytes, *, what: str = "data", levels: int = MAX_LEVELS) -> Any:
    """Return the value that ``data`` encodes; ``what`` names it in errors.

    Raises:
        Unreadable: ``bad_json`` or ``duplicate_attribute``, with the location, not the content.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Unreadable("bad_json", _why_not_json(data, what, error)) from error
    if _openings(data) <= levels and _nothing_lost(data, orjson.dumps(value)):
        return value
    outside = outside_strings(data)
    if _deeper_than(outside, levels):
        raise Unreadable(
            "bad_json", f"The {what} nests deeper than {levels} levels; send a flatter document."
        )
    _refuse_wide_integers(outside, what)
    if outside.count(b":") != outside_strings(orjson.dumps(value)).count(b":"):
        _refuse_duplicate_key(data, what)
    return value


def dump_json(value: Any, *, levels: int = MAX_LEVELS) -> bytes:
    """Return ``value`` as compact JSON that :func:`load_json` accepts.

    Raises:
        ValueError: ``value`` holds something that JSON, as read here, cannot encode.
    """
    try:
        data = orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"The data cannot be written as JSON: {error}.") from error
    if b"null" in data:
        _refuse_not_a_number(value)
    if nests_deeper(data, levels):
        raise ValueError(f"The data nests deeper than {levels} levels; write a flatter document.")
    return data


def nests_deeper(data: bytes, levels: int = MAX_LEVELS) -> bool:
    """Return whether ``data``, which is JSON, nests deeper than :func:`load_json` accepts."""
    return _openings(data) > levels and _deeper_than(outside_strings(data), levels)


def _openings(data: bytes) -> int:
    """Count the opening brackets in ``data``, including those in strings."""
    return len(data.translate(None, _NO_OPENING))


def _why_not_json(data: bytes, what: str, error: orjson.JSONDecodeError) -> str:
    try:
        data.decode()
    except UnicodeDecodeError as bad:
        return f"The {what} is not UTF-8 at byte {bad.start}; send JSON encoded as UTF-8."
    place = f"line {error.lineno} column {error.colno}"
    return f"The {what} is not JSON at {place}: {error.msg}; send one RFC 8259 document."


def _nothing_lost(data: bytes, written: bytes) -> bool:
    """Return whether ``written``, which orjson made of ``data``, certainly lost nothing.

    Compact JSON comes back byte for byte. In other JSON a dropped key loses its colon; only an
    escaped colon elsewhere could hide that.
    """
    if written == data:
        return True
    return (
        b"\\u" not in data
        and data.count(b":") == written.count(b":")
        and _LONG_RUN not in data.translate(_DIGITS_ALIKE)
    )


def _deeper_than(outside: bytes, levels: int) -> bool:
    brackets = outside.translate(_ARRAYS_ONLY, _NO_BRACKET)
    for _ in range(levels):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")  # removes the innermost level
    return bool(brackets)


def _refuse_wide_integers(outside: bytes, what: str) -> None:
    for match in _LONG_INTEGER.finditer(outside):
        digits = match[0]
        if len(digits) > _INT_MAX_CHARS or not _INT_MIN <= int(digits) <= _INT_MAX:
            raise Unreadable(
                "bad_json",
                f"The {what} has an integer that does not fit 64 bits; send it as a string.",
            )


def _refuse_duplicate_key(data: bytes, what: str) -> None:
    def unique(pairs: list[tuple[str, Any]]) -> None:
        seen = set()
        for name, _ in pairs:
            if name in seen:
                raise Unreadable(
                    "duplicate_attribute",
                    f"The {what} has the key {shown(name)} twice in one object; send it once.",
                )
            seen.add(name)

    json.loads(data.decode(), object_pairs_hook=unique)


def _refuse_not_a_number(value: Any) -> None:
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, float) and not math.isfinite(item):
            raise ValueError("The data holds NaN or an infinity, which JSON does not have.")
        if isinstance(item, dict):
            rest.extend(item.values())
        elif isinstance(item, (list, tuple)):
            rest.extend(item)
