"""The W3C trace context of events: https://www.w3.org/TR/trace-context/#traceparent-header.

Version 00 is the only one in use. An invalid trace context is ignored, never refused.
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
    """A position in a trace: the trace, and the span that is the parent."""

    trace_id: str
    span_id: str
    flags: int

    @classmethod
    def parse(cls, text: str | None) -> "TraceContext | None":
        """Return the context in a ``traceparent``; None if it is invalid."""
        found = _TRACEPARENT.fullmatch(text) if text else None
        return cls(found["trace"], found["span"], int(found["flags"], 16)) if found else None

    def __str__(self) -> str:
        """Return the context as a ``traceparent``."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


def valid(text: str | None) -> str | None:
    """Return ``text`` if it is a valid ``traceparent``, else None."""
    return text if TraceContext.parse(text) is not None else None
