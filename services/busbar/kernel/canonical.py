"""One spelling for one value, so that digests can be compared."""

import hashlib
import json
import re
from typing import Any

import orjson

_spell = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode

_FAST = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_OTHERWISE = re.compile(rb"[0-9]e|0\.0000")
"""What orjson may write otherwise: exponents without a plus sign, and none above 1e-5."""


def canonical_json(value: Any, *, parsed: bool = False) -> bytes:
    """``value`` as JSON with sorted keys and no white space.

    What was ``parsed`` from JSON has no NaN, and is not searched for any.

    Raises:
        ValueError: ``value`` holds NaN or an infinity, which JSON does not have.
    """
    try:
        fast = orjson.dumps(value, option=_FAST)
    except orjson.JSONEncodeError:
        return _spell(value).encode()  # integers beyond 64 bits, or an error that says more
    # Inside of strings digests would look like numbers: most have an ``e`` between two digits.
    became_null = not parsed and b"null" in fast  # as NaN does
    if became_null or _OTHERWISE.search(outside_strings(fast)):
        return _spell(value).encode()
    return fast


def outside_strings(written: bytes) -> bytes:
    """Valid JSON without its strings: punctuation, numbers and literals stay."""
    if b"\\" in written:
        written = written.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b" ".join(written.split(b'"')[::2])


def digest(value: Any, *, parsed: bool = False) -> str:
    """``sha256:`` and the hex digest of :func:`canonical_json`."""
    return "sha256:" + hashlib.sha256(canonical_json(value, parsed=parsed)).hexdigest()
