"""Checks that hold for every refusal of the codec."""

from collections.abc import Sequence

import pytest

from busbar.messages.codec import kafka
from busbar.messages.envelope import CODES, Unreadable


def refusal(
    headers: Sequence[tuple[str, bytes | None]], value: bytes | None, key: bytes | None = None
) -> Unreadable:
    """Return the refusal of the record: a known code and one short sentence."""
    with pytest.raises(Unreadable) as refused:
        kafka.read(headers, value, key)
    assert_helpful(refused.value)
    return refused.value


def assert_helpful(refused: Unreadable) -> None:
    """It is short and plain, and a sentence that may stand in any log."""
    assert refused.code in CODES
    assert refused.detail.endswith(".")
    assert refused.detail.isascii()
    assert refused.detail.isprintable()
    assert len(refused.detail) < 250
