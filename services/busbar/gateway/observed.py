"""Requests as they are seen from outside: how many, how they were answered, how long it took.

Each is a span below the ``traceparent`` of its request. A path is not told, as it may name things.
"""

from typing import Any, Final

from busbar.kernel.clock import Clock
from busbar.runtime.http.server import AsgiApp, Receive, Scope, Send
from busbar.runtime.telemetry import metrics, tracing
from busbar.runtime.telemetry.meters import seconds_between

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BROKEN: Final = 500
"""What the server answers for an application that fails."""


class Observed:
    """Hands every request on to an application (ASGI 3), and counts what becomes of it."""

    def __init__(self, inner: AsgiApp, *, clock: Clock) -> None:
        """Count the requests of ``inner``."""
        self._inner = inner
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        headers = dict(scope["headers"])
        parent = headers.get(b"traceparent") or headers.get(b"ce-traceparent") or b""
        with tracing.span(
            _method(scope), parent=parent.decode("latin-1"), kind="server", attributes={}
        ) as here:
            await self._answer(scope, receive, send, here)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, here: tracing.Here) -> None:
        begin, status = self._clock.now(), BROKEN

        async def sending(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._inner(scope, receive, sending)
        finally:
            method, route = _method(scope), _route(scope)
            metrics.REQUESTS.labels(method, route, status).inc()
            seconds = seconds_between(begin, self._clock.now())
            metrics.REQUEST_SECONDS.labels(route).observe(seconds)
            here.rename(f"{method} {route}")
            about: tracing.Attributes = {
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
            }
            here.set_attributes(about, failed=str(status) if status >= BROKEN else None)


def _method(scope: Scope) -> str:
    method = str(scope["method"])
    return method if method in METHODS else "other"


def _route(scope: Scope) -> str:
    """The route as it is declared; the router leaves it in the scope."""
    return str(getattr(scope.get("route"), "path", "none"))
