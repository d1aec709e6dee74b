"""Numbers as JSON Schema 2020-12 and every reader of JSON understand them.

``1`` and ``1.0`` are the same number. Whole numbers end at 2^53 - 1: JavaScript and other readers
that hold every number as a double would read a larger one as another number.

Source: https://json-schema.org/draft/2020-12/json-schema-core#section-4.2.2
"""

from typing import Any, Final

MAX_WHOLE: Final = 2**53 - 1
"""The largest whole number; its negative is the smallest."""


def is_whole(value: Any) -> bool:
    """Return whether ``value`` is a whole number, however it is written."""
    if isinstance(value, bool):
        return False
    if isinstance(value, float):
        return value.is_integer() and abs(value) <= MAX_WHOLE
    return isinstance(value, int)


def normalized(value: Any) -> Any:
    """Return ``value`` with every whole number as an ``int``: 1.0 becomes 1."""
    if isinstance(value, dict):
        return {key: normalized(child) for key, child in value.items()}
    if isinstance(value, list):
        return [normalized(child) for child in value]
    return int(value) if isinstance(value, float) and is_whole(value) else value
