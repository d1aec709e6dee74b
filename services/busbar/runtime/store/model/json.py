"""JSON as it is stored: values that the codec let in, written and read fast."""

from typing import Any

import orjson

loads = orjson.loads


def dumps(value: Any) -> str:
    """``value`` as compact JSON text."""
    return orjson.dumps(value).decode()
