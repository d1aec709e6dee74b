"""The ownership mark of a topic (ADR 5).

Topics have no labels. What they do have from their first moment, atomically with their creation,
is settings; so the mark is the value of one that changes nothing: ``flush.messages`` (a long) says
after how many messages the log is forced to disk, and every value near 2^62 means "never", as its
default 2^63 - 1 does.
"""

import hashlib
from typing import Final

SETTING: Final = "flush.messages"

_BASE: Final = 2**62
_OWNER_BITS: Final = 61


def mark_of(owner: str) -> int:
    """The mark of ``owner``: 2^62 plus the first 61 bits of SHA-256 over it in UTF-8."""
    digest = hashlib.sha256(owner.encode()).digest()
    return _BASE + (int.from_bytes(digest) >> (len(digest) * 8 - _OWNER_BITS))


def is_mark(value: int | None) -> bool:
    """Whether ``value`` can be anybody's mark; people's settings and the default cannot."""
    return value is not None and _BASE <= value < _BASE + 2**_OWNER_BITS
