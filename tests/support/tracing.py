"""Spans that are kept instead of sent."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from busbar.runtime.telemetry import tracing

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
UNSAMPLED = f"00-{TRACE}-00f067aa0ba902b7-00"

BAD_PARENTS = (
    "",
    "nonsense",
    f"00-{TRACE}-00f067aa0ba902b7",
    f"00-{'0' * 32}-00f067aa0ba902b7-01",
    f"00-{TRACE}-{'0' * 16}-01",
    f"ff-{TRACE}-00f067aa0ba902b7-01",
    PARENT.upper(),
    f"{PARENT}\n",
    f" {PARENT}",
    f"{PARENT}-more",
)
"""What producers may call a trace context, and is none."""


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """A span as a collector gets it, ids as in a ``traceparent``."""

    name: str
    kind: str
    service: str
    trace_id: str
    span_id: str
    parent_id: str | None
    attributes: Mapping[str, Any]
    error: str | None
    flags: int = 1

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


class Spans:
    """The spans that ended."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()

    def all(self) -> list[SpanRecord]:
        return [_record_of(span) for span in self.exporter.get_finished_spans()]

    def one(self, name: str) -> SpanRecord:
        """The only span that is called like a match of ``name``."""
        (found,) = [span for span in self.all() if re.fullmatch(name, span.name)]
        return found

    def words(self) -> str:
        """Return all spans as text, to search in."""
        return "\n".join(span.to_json() for span in self.exporter.get_finished_spans())


def _record_of(span: ReadableSpan) -> SpanRecord:
    context, parent = span.get_span_context(), span.parent
    assert context is not None
    return SpanRecord(
        name=span.name,
        kind=span.kind.name.lower(),
        service=str(span.resource.attributes["service.name"]),
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_id=f"{parent.span_id:016x}" if parent is not None else None,
        attributes=dict(span.attributes or {}),
        error=span.status.description,
        flags=context.trace_flags,
    )


@asynccontextmanager
async def traced(*, sample: float = 1.0) -> AsyncIterator[Spans]:
    """Spans are made during the block, as in the service policy."""
    found = Spans()
    processor = SimpleSpanProcessor(found.exporter)
    tracing.start_with(processor, service="policy", sample=sample, version="test")
    try:
        yield found
    finally:
        await tracing.stop()
