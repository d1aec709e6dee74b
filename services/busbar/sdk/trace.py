"""The trace that the program around is in, if it uses OpenTelemetry; nothing is loaded to see."""

import sys


def active_traceparent() -> str | None:
    """The ``traceparent`` of the span that is going on; None if there is none."""
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        return None
    context = api.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
