"""HTTP/1.1 with limits: one client cannot take the memory or the time of a service.

The parser joins the pieces of a header as they arrive, so that an endless one costs time with the
square of its length, and it waits without limit. Times are counted in calls of ``tick``: a process
that was stopped for a minute has counted one second, and the bytes that wait for it still count.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import ClassVar, Final

import httptools
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from busbar.runtime.http.refusal import MEDIA_TYPE, ProblemError, problem_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a client: the bytes that it sends and the time that it takes.

    If one is exceeded, the connection is ended.
    """

    head_bytes: int = 64 * 1024
    """The request line with all headers; also what may come between two parts of a body."""
    head_seconds: int = 10
    """From the first byte of a request to the end of its headers."""
    body_silent_seconds: int = 10
    """Without a byte of the body."""
    body_seconds: int = 60
    """From the end of the headers to the end of the body."""
    idle_seconds: int = 30
    """Without a request."""
    linger_seconds: int = 2
    """From a refusal to the end of the connection; what arrives is dropped. If the socket were
    closed immediately, the reset would overtake the answer."""


class _Part(Enum):
    """The part of a request that is being read."""

    NONE = auto()
    HEAD = auto()
    BODY = auto()


_MALFORMED: Final = ProblemError(
    HTTPStatus.BAD_REQUEST,
    "malformed_request",
    "this is not a request in HTTP/1.1",
    fix="send what RFC 9112 describes; a client library does",
)
_TRAILER: Final = ProblemError(
    HTTPStatus.BAD_REQUEST,
    "unsupported_trailer",
    "fields after a body would be ignored",
    fix="send them as headers",
)


def _too_large(limit: int) -> ProblemError:
    return ProblemError(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "head_too_large",
        f"the request line and the headers have more than {limit} bytes",
        fix="send fewer or shorter headers; content belongs into the body",
    )


def _too_slow(part: str, seconds: int) -> ProblemError:
    return ProblemError(
        HTTPStatus.REQUEST_TIMEOUT,
        "too_slow",
        f"{part} for {seconds} seconds",
        fix="send the request without pauses; the same event sent again is the same intent",
    )


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which ends connections that exceed ``limits`` or are not HTTP."""

    limits: ClassVar[Limits] = Limits()

    _answering: deque[RequestResponseCycle]
    """The requests that are not answered yet, oldest first."""
    _part = _Part.NONE
    _unparsed = 0
    """Bytes since the last part of a request that was whole."""
    _age = 0
    """Seconds since the current part began, or since the connection was ended."""
    _silent = 0
    """Seconds since the last byte."""
    _trailer = False
    _refused = False
    _refusal: ProblemError | None = None
    """What is sent after the answers to earlier requests."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begin; called by the event loop."""
        super().connection_made(transport)
        self._answering = deque()

    def data_received(self, data: bytes) -> None:
        """Parse ``data``, in pieces of at most the size of a head; called by the event loop."""
        self._silent = 0
        at = 0
        while at < len(data) and not self._refused and not self.transport.is_closing():
            room = self.limits.head_bytes - self._unparsed
            if room <= 0:
                self._refuse(_too_large(self.limits.head_bytes))
                return
            piece = data[at : at + room]
            self._unparsed += len(piece)
            self._parse(piece)
            at += len(piece)

    def _parse(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self._refuse(_TRAILER if self._trailer else _MALFORMED)

    def connection_lost(self, exc: Exception | None) -> None:
        """Disconnect every request that is not answered; called by the event loop.

        uvicorn does so with the newest only. The others would write to a closed socket.
        """
        for cycle in self._answering:
            _disconnect(cycle)
        self._answering.clear()
        self.pipeline.clear()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin a head; called by the parser, like the following methods."""
        super().on_message_begin()
        self._part = _Part.HEAD

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header; a field after the body is none (RFC 9110, section 6.5.1)."""
        if self._part is _Part.BODY:
            self._trailer = True
            raise _TRAILER
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to handle the request."""
        super().on_headers_complete()
        self._answering.append(self.cycle)
        self._begin(_Part.BODY)

    def on_body(self, body: bytes) -> None:
        """Add a part of the body."""
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body."""
        super().on_message_complete()
        self._begin(_Part.NONE)

    def _begin(self, part: _Part) -> None:
        self._part, self._unparsed, self._age = part, 0, 0

    def on_response_complete(self) -> None:
        """Go on with the next request, or end the connection; called by the answered one."""
        while self._answering and self._answering[0].response_complete:
            self._answering.popleft()
        super().on_response_complete()
        if self._refused and not self._answering and not self.transport.is_closing():
            self._end()

    def tick(self) -> None:
        """Count one second, and end the connection if a limit is exceeded."""
        self._silent += 1
        if self._refused:
            self._age += not self._answering
            if self._age > self.limits.linger_seconds:
                self.transport.abort()
        elif self.transport.is_closing():
            return
        elif self._part is _Part.BODY:
            self._tick_body()
        elif self._part is _Part.HEAD or self._unparsed:
            self._age += not self.flow.read_paused
            if self._age > self.limits.head_seconds:
                self._refuse(_too_slow("the headers did not end", self.limits.head_seconds))
        else:
            self._age = 0
            if not self._answering and self._silent > self.limits.idle_seconds:
                self.transport.close()

    def _tick_body(self) -> None:
        if self.flow.read_paused or self.cycle.waiting_for_100_continue:
            self._silent = 0  # the client waits for the service
            return
        self._age += 1
        if self._silent > self.limits.body_silent_seconds:
            silent = self.limits.body_silent_seconds
            self._refuse(_too_slow("nothing of the body arrived", silent))
        elif self._age > self.limits.body_seconds:
            self._refuse(_too_slow("the body did not end", self.limits.body_seconds))

    def shutdown(self) -> None:
        """End the connection after the current answer; called by the server."""
        if self._refused and not self._answering:
            self.transport.close()
        else:
            super().shutdown()

    def _refuse(self, problem: ProblemError) -> None:
        """Read no further, and answer with ``problem`` after the earlier requests."""
        self._refused, self._refusal = True, problem
        if self._part is _Part.BODY:
            if self.cycle.response_started:
                self._refusal = None
            if self._answering and self._answering[-1] is self.cycle:
                _disconnect(self._answering.pop())
            if self.pipeline and self.pipeline[0][0] is self.cycle:
                self.pipeline.popleft()
        if not self._answering:
            self._end()

    def _end(self) -> None:
        self._age = 0
        self._unset_keepalive_if_required()
        if self._refusal is not None:
            self.transport.write(self._written(self._refusal))
        self.transport.write_eof()
        self.flow.resume_reading()

    def _written(self, error: ProblemError) -> bytes:
        body = problem_of(error).model_dump_json().encode()
        headers = (
            *self.server_state.default_headers,
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        )
        fields = b"".join(b"%s: %s\r\n" % header for header in headers)
        return STATUS_LINE[error.status] + fields + b"\r\n" + body


def _disconnect(cycle: RequestResponseCycle) -> None:
    """Have the application of ``cycle`` read that its client is gone, and write nothing more."""
    if not cycle.response_complete:
        cycle.disconnected = True
    cycle.message_event.set()
