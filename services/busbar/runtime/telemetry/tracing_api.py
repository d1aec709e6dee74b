"""The subset of OpenTelemetry's API that tracing uses; imported on first use."""

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
