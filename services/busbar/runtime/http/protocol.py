"""HTTP/1.1 within limits: of the size of headers, and of the time that a request may take.

Before a request is complete, nothing is known of its sender, so a few clients without a token could
otherwise use up memory and connections. It ignores requests for another protocol, as a server may
(RFC 9110, section 7.8): Java's HTTP client offers HTTP/2 with its first request (``Upgrade: h2c``),
and the parser of uvicorn then skips the body, so that an event would arrive without its data. It
also ignores trailers (section 6.5.1), which come after the headers have been checked.
"""

import asyncio
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES: Final = 64 * 1024
"""The limit of request line and headers. What came in one read with the limit is read as well."""

HEAD_SECONDS: Final = 10.0
"""How long request line and headers may take."""

BODY_SECONDS: Final = 30.0
"""How long the body may take; the largest that is read has a megabyte."""

_OF_THE_UPGRADE: Final = frozenset({b"connection", b"upgrade", b"http2-settings"})


class _Flow(FlowControl):
    """Flow control of a connection that the client may have closed meanwhile."""

    def pause_reading(self) -> None:
        if not self._transport.is_closing():
            super().pause_reading()

    def resume_reading(self) -> None:
        if not self._transport.is_closing():
            super().resume_reading()


class LimitedHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits; it reads a request with ``Upgrade`` without that header."""

    max_head_bytes = MAX_HEAD_BYTES
    head_seconds = HEAD_SECONDS
    body_seconds = BODY_SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it too
        """Begin to wait for a request; called by the event loop."""
        super().connection_made(transport)
        self.flow = _Flow(transport)
        self._in_head = True
        self._head_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._limit(self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """End what waits for the client; called by the event loop."""
        self._limit(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse ``data``; called by the event loop."""
        rest: bytes | None = data
        while rest is not None:
            rest = self._feed(rest)
        if self._in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > self.max_head_bytes:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Limit the time of the request's head."""
        super().on_message_begin()
        self._in_head = True
        self._limit(self.head_seconds)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; a trailer is ignored."""
        if self._in_head:
            super().on_header(name, value)

    def _limit(self, seconds: float | None) -> None:
        """Refuse what has not come in ``seconds``; None ends the limit."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = (
            None
            if seconds is None
            else self.loop.call_later(seconds, self._refuse, HTTPStatus.REQUEST_TIMEOUT)
        )

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer with ``status`` unless an answer has begun, and close the connection."""
        self._limit(None)
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            body = f"{status.phrase}.".encode()
            self.transport.write(
                b"HTTP/1.1 %d %s\r\ncontent-type: text/plain; charset=utf-8\r\n"
                b"content-length: %d\r\nconnection: close\r\n\r\n%s"
                % (status, status.phrase.encode(), len(body), body)
            )
        self.transport.close()

    def _feed(self, data: bytes) -> bytes | None:
        """Parse ``data``; return what is to be parsed again, or None."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._is_upgrade():
                again = b"".join(self._head()) + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                return again
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        return None

    def on_headers_complete(self) -> None:
        """Begin to handle the request, unless it is to be read again."""
        if not self._is_upgrade():
            self._in_head = False
            self._head_bytes = 0
            self._limit(self.body_seconds)
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End the body of the request, unless it is to be read again."""
        if not self._is_upgrade():
            self._limit(None)
            super().on_message_complete()

    def _is_upgrade(self) -> bool:
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _head(self) -> Iterator[bytes]:
        """Yield the request line and the headers, without those of the upgrade."""
        version = self.parser.get_http_version().encode()
        yield b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, version)
        for name, value in self.headers:
            if name not in _OF_THE_UPGRADE:
                yield b"%s: %s\r\n" % (name, value)
        if any(name == b"connection" and b"close" in value.lower() for name, value in self.headers):
            yield b"connection: close\r\n"
        yield b"\r\n"
