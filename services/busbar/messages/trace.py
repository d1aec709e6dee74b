"""The W3C trace context that events carry: https://www.w3.org/TR/trace-context/#traceparent-header.

Version 00 is what everybody writes. What is no trace context is ignored, never refused.
"""

import re
from dataclasses import dataclass
from typing import Final

_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})"
)


@dataclass(frozen=True, slots=True)
class TraceContext:
    """Which trace something belongs to, and below which span."""

    trace_id: str
    span_id: str
    flags: int

    @classmethod
    def parse(cls, text: str | None) -> "TraceContext | None":
        """What a ``traceparent`` says; None if it is none."""
        found = _TRACEPARENT.fullmatch(text) if text else None
        return cls(found["trace"], found["span"], int(found["flags"], 16)) if found else None

    def __str__(self) -> str:
        """As a ``traceparent``."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


def valid(text: str | None) -> str | None:
    """``text`` if it is a trace context."""
    return text if TraceContext.parse(text) is not None else None
