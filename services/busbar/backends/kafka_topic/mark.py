"""The ownership mark of a topic (ADR 5).

Topics have no labels, but they have settings, which are set atomically with their creation. So the
mark is the value of a setting that changes nothing: ``flush.messages`` (a long) is the number of
messages after which the log is forced to disk, and every value near 2^62 means "never", as its
default 2^63 - 1 does.
"""

import hashlib
from typing import Final

SETTING: Final = "flush.messages"
DECISION: Final = "docs/adr/0005-ownership-mark-of-kafka-topics.md"

_BASE: Final = 2**62
_OWNER_BITS: Final = 61


def mark_of(owner: str) -> int:
    """Return the mark of ``owner``: 2^62 plus the first 61 bits of its SHA-256 (over UTF-8)."""
    digest = hashlib.sha256(owner.encode()).digest()
    return _BASE + (int.from_bytes(digest) >> (len(digest) * 8 - _OWNER_BITS))


def is_mark(value: int | None) -> bool:
    """Return True if ``value`` is a mark of any owner, and not a setting or the default."""
    return value is not None and _BASE <= value < _BASE + 2**_OWNER_BITS
