"""Counts, times and traces every HTTP request.

The span of a request is a child of its ``traceparent``. Neither the span nor a label holds the
path itself, which may contain names; they hold the route as declared.
"""

from typing import Any, Final

from busbar.gateway import telemetry
from busbar.kernel.clock import Clock
from busbar.runtime.http.server import AsgiApp, Receive, Scope, Send
from busbar.runtime.telemetry import tracing
from busbar.runtime.telemetry.meters import seconds_between

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SERVER_ERROR: Final = 500
"""The status that the server sends for an application that raises."""


class RequestTelemetry:
    """ASGI 3 middleware around ``inner``."""

    def __init__(self, inner: AsgiApp, *, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        headers = dict(scope["headers"])
        parent = headers.get(b"traceparent") or headers.get(b"ce-traceparent") or b""
        with tracing.span(
            _method(scope), parent=parent.decode("latin-1"), kind="server", attributes={}
        ) as span:
            await self._respond(scope, receive, send, span)

    async def _respond(
        self, scope: Scope, receive: Receive, send: Send, span: tracing.Here
    ) -> None:
        begin, status = self._clock.now(), SERVER_ERROR

        async def send_and_note_status(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._inner(scope, receive, send_and_note_status)
        finally:
            method, route = _method(scope), _route(scope)
            telemetry.REQUESTS.labels(method, route, status).inc()
            seconds = seconds_between(begin, self._clock.now())
            telemetry.REQUEST_SECONDS.labels(route).observe(seconds)
            span.rename(f"{method} {route}")
            attributes: tracing.Attributes = {
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
            }
            span.set_attributes(attributes, failed=str(status) if status >= SERVER_ERROR else None)


def _method(scope: Scope) -> str:
    method = str(scope["method"])
    return method if method in METHODS else "other"


def _route(scope: Scope) -> str:
    """Return the route as declared, which the router leaves in the scope."""
    return str(getattr(scope.get("route"), "path", "none"))
