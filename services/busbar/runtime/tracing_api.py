"""What :mod:`busbar.runtime.tracing` uses of OpenTelemetry's API, loaded when it is used."""

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)

__all__ = [
    "Context",
    "NonRecordingSpan",
    "SpanContext",
    "SpanKind",
    "StatusCode",
    "TraceFlags",
    "attach",
    "detach",
    "get_current_span",
    "set_span_in_context",
]
