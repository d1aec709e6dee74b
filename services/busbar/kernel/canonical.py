"""Canonical JSON: one byte sequence for one value, so that digests can be compared."""

import hashlib
import json
import re
from typing import Any

import orjson

_encode = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode

_FAST = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_DIFFERS = re.compile(rb"[0-9]e|0\.0000")
"""Numbers that orjson may write differently: exponents without a plus sign, none above 1e-5."""


def canonical_json(value: Any, *, parsed: bool = False) -> bytes:
    """Return ``value`` as JSON with sorted keys and no white space.

    ``parsed`` says that the value was read from JSON: then it holds no NaN and the search for one
    is left out.

    Raises:
        ValueError: ``value`` holds NaN or an infinity, which JSON does not have.
    """
    try:
        fast = orjson.dumps(value, option=_FAST)
    except orjson.JSONEncodeError:
        return _encode(value).encode()  # integers beyond 64 bits, or an error that says more
    # Digests in strings look like such numbers: most have an ``e`` between two digits.
    became_null = not parsed and b"null" in fast  # orjson writes NaN as null
    if became_null or _DIFFERS.search(outside_strings(fast)):
        return _encode(value).encode()
    return fast


def outside_strings(written: bytes) -> bytes:
    """Return valid JSON without its strings: punctuation, numbers and literals."""
    if b"\\" in written:
        written = written.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b" ".join(written.split(b'"')[::2])


def digest(value: Any, *, parsed: bool = False) -> str:
    """Return ``sha256:`` and the hex digest of :func:`canonical_json`."""
    return "sha256:" + hashlib.sha256(canonical_json(value, parsed=parsed)).hexdigest()
