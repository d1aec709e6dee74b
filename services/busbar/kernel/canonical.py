"""One spelling for one value, so that digests can be compared."""

import hashlib
import json
from typing import Any

_spell = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode


def canonical_json(value: Any) -> bytes:
    """``value`` as JSON with sorted keys and no white space.

    Raises:
        ValueError: ``value`` holds NaN or an infinity, which JSON does not have.
    """
    return _spell(value).encode()


def digest(value: Any) -> str:
    """``sha256:`` and the hex digest of :func:`canonical_json`."""
    return "sha256:" + hashlib.sha256(canonical_json(value)).hexdigest()
