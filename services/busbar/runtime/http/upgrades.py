"""HTTP/1.1 that ignores requests for another protocol, as a server may (RFC 9110, section 7.8).

Java's HTTP client offers HTTP/2 with its first request (``Upgrade: h2c``). The parser of uvicorn
then skips the body, so that an event would arrive without its data.
"""

from collections.abc import Iterator
from typing import Final

import httptools

from busbar.runtime.http.protocol import LimitedProtocol

_OF_THE_UPGRADE: Final = frozenset({b"connection", b"upgrade", b"http2-settings"})


class PlainHttpProtocol(LimitedProtocol):
    """The protocol with limits, which reads an ``Upgrade`` request again without that header."""

    def _parse(self, data: bytes) -> None:
        rest: bytes | None = data
        while rest is not None:
            again, rest = rest, None
            try:
                super()._parse(again)
            except httptools.HttpParserUpgrade as upgrade:
                if self._is_upgrade():
                    rest = b"".join(self._head()) + again[upgrade.args[0] :]
                    self.parser = httptools.HttpRequestParser(self)

    def on_headers_complete(self) -> None:
        """Begin to handle the request, unless it is to be read again."""
        if not self._is_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End the body of the request, unless it is to be read again."""
        if not self._is_upgrade():
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
