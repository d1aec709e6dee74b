"""Fast JSON for stored values, which the codec has validated before."""

from typing import Any

import orjson

loads = orjson.loads


def dumps(value: Any) -> str:
    """Return ``value`` as compact JSON text."""
    return orjson.dumps(value).decode()
