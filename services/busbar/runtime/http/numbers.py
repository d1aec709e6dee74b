"""Numbers in the query of a request: written as in JSON, and in no other way.

Python also reads ``1_0``, ``+1``, ``" 1"`` and ``1.0`` as whole numbers. A client that sends one of
these means something else, or will fail elsewhere.
"""

import re
from typing import Any, Final

from pydantic import BeforeValidator

_WHOLE: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def _whole(value: Any) -> Any:
    if isinstance(value, str) and not _WHOLE.fullmatch(value):
        raise ValueError("a whole number is written in digits, as 20")
    return value


def _decimal(value: Any) -> Any:
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        raise ValueError("a number is written in digits, as 20 or 0.5")
    return value


WHOLE: Final = BeforeValidator(_whole)
"""Follows the ``Query`` of an ``int``; before it, the limits would be missing in OpenAPI."""
DECIMAL: Final = BeforeValidator(_decimal)
"""Follows the ``Query`` of a ``float``."""
