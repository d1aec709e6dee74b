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
_EXPONENT = re.compile(rb"(?:^|[:,\[])-?[0-9]+(?:\.[0-9]+)?e")
"""What orjson writes otherwise: without a plus sign, and without zeros before it.

Only where a value begins: nearly every event holds a digest, with an ``e`` between digits of it.
"""


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
    became_null = not parsed and b"null" in fast  # as NaN does
    if became_null or _EXPONENT.search(fast):
        return _spell(value).encode()
    return fast


def digest(value: Any, *, parsed: bool = False) -> str:
    """``sha256:`` and the hex digest of :func:`canonical_json`."""
    return "sha256:" + hashlib.sha256(canonical_json(value, parsed=parsed)).hexdigest()
