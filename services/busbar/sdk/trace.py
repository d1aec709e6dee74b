"""The current trace of the program, if it uses OpenTelemetry; nothing is imported for it."""

import sys


def active_traceparent() -> str | None:
    """Return the ``traceparent`` of the current span; None if there is none."""
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        return None
    context = api.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
