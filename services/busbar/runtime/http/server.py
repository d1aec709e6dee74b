"""The HTTP server of every service: health, metrics, and the service's own application."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import uvicorn

from busbar.kernel.clock import Clock
from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.http.protocol import LimitedProtocol, Limits
from busbar.runtime.http.upgrades import PlainHttpProtocol
from busbar.runtime.telemetry.metrics import CONTENT_TYPE as METRICS_TYPE

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]
Checks = Callable[[], Awaitable[Mapping[str, str]]]
"""Returns the reasons that the service is not ready, by part; empty if it is ready."""
Expose = Callable[[], Awaitable[bytes]]
"""Returns all metrics in the text format."""


_OWN_PATHS = ("/healthz", "/readyz", "/metrics")


class HealthApp:
    """An ASGI application for ``/healthz``, ``/readyz`` and ``/metrics`` in front of another."""

    def __init__(
        self, service: str, checks: Checks, inner: AsgiApp | None, *, expose: Expose | None = None
    ) -> None:
        """Report ready while ``checks`` returns no problem; pass other requests to ``inner``.

        ``expose`` returns the metrics; without it there is no ``/metrics``.
        """
        self._expose = expose
        self._service = service
        self._checks = checks
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        own = scope["type"] == "http" and scope["path"] in _OWN_PATHS
        if own and scope["method"] not in ("GET", "HEAD"):
            await _refuse_method(send)
            return
        if scope["type"] == "http" and scope["path"] == "/healthz":
            await respond(send, 200, {"service": self._service, "alive": True})
            return
        if scope["type"] == "http" and scope["path"] == "/readyz":
            problems = await self._checks()
            body = {"service": self._service, "ready": not problems, "problems": dict(problems)}
            await respond(send, 503 if problems else 200, body)
            return
        if scope["type"] == "http" and scope["path"] == "/metrics" and self._expose is not None:
            await _send(send, 200, await self._expose(), media_type=METRICS_TYPE)
            return
        if self._inner is not None:
            await self._inner(scope, receive, send)
            return
        problem = {"type": "about:blank", "title": "Not Found", "status": 404}
        await respond(send, 404, problem, media_type="application/problem+json")


async def respond(
    send: Send,
    status: int,
    body: Any,
    *,
    media_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> None:
    """Send ``body`` as JSON, with ``headers`` besides those that every answer has."""
    extra = tuple(
        (name.lower().encode(), value.encode()) for name, value in (headers or {}).items()
    )
    await _send(send, status, json.dumps(body).encode(), media_type=media_type, extra=extra)


async def _refuse_method(send: Send) -> None:
    problem = {"type": "about:blank", "title": "Method Not Allowed", "status": 405}
    raw = json.dumps(problem).encode()
    await _send(
        send, 405, raw, media_type="application/problem+json", extra=((b"allow", b"GET, HEAD"),)
    )


async def _send(
    send: Send,
    status: int,
    raw: bytes,
    *,
    media_type: str,
    extra: tuple[tuple[bytes, bytes], ...] = (),
) -> None:
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(raw)).encode()),
        (b"cache-control", b"no-store"),
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": raw})


def url_of(host: str, port: int) -> str:
    """Return the URL of a server on ``host``; IPv6 addresses go into brackets (RFC 3986)."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket on ``host``:``port`` (0: any free port).

    Raises:
        ConfigurationError: the port is in use, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"Cannot listen on {host}:{port}: {error.strerror}.",
            fix="Stop the process on that port, or choose another (gateway: "
            "BUSBAR_GATEWAY_PORT_NUMBER).",
        ) from error
    listener.listen(256)
    listener.setblocking(False)
    return listener


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the process handles signals itself."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _protocol(with_limits: Limits) -> type[PlainHttpProtocol]:
    """Return the protocol with these limits; uvicorn makes its objects."""

    class Protocol(PlainHttpProtocol):
        limits = with_limits

    return Protocol


class HttpServer:
    """A server for an ASGI application on a socket, in the event loop of the service."""

    def __init__(
        self,
        app: AsgiApp,
        listener: socket.socket,
        *,
        clock: Clock | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Serve ``app`` on ``listener`` once started.

        ``clock`` counts the seconds of ``limits``; without it, the system's does.
        """
        self._listener = listener
        self._clock = clock or SystemClock()
        self._server = _Server(
            uvicorn.Config(
                app,
                interface="asgi3",
                http=_protocol(limits or Limits()),
                ws="none",
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=2,
                timeout_keep_alive=30,
            )
        )
        self._task: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Start to serve in the background."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        """Have every connection count the seconds."""
        while True:
            await self._clock.sleep(1)
            for connection in tuple(self._server.server_state.connections):
                if isinstance(connection, LimitedProtocol):
                    connection.tick()

    async def stop(self) -> None:
        """Finish open requests, for at most two seconds, and stop."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        if self._watcher is not None:
            self._watcher.cancel()
        self._listener.close()
