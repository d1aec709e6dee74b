"""Reads from audit and from policy over HTTP."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import quote

import aiohttp
from yarl import URL

from busbar.messages.http import NDJSON

CONNECT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class AuditResponse:
    """An HTTP response of the audit service, unchanged: its ``body``, or its ``lines`` to come."""

    status: int
    content_type: str
    body: bytes
    lines: AsyncIterator[bytes] | None = None
    close: Callable[[], None] = field(default=lambda: None, compare=False)
    """Must be called when ``lines`` are not taken to their end, to give the connection back."""


class AuditUnavailable(Exception):
    """The audit service cannot be reached; the message is safe to show to clients."""


class HttpAuditReader:
    """Reads from the audit service at ``url``; connects on the first request."""

    variable = "BUSBAR_AUDIT_URL"
    silence = 20.0
    """The longest silence, in seconds. A long answer comes line by line, so its whole time has no
    limit, but each page that audit reads yields a line."""

    def __init__(self, url: str | None, *, silence: float | None = None) -> None:
        self._url = url
        self._silence = silence or self.silence
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str, query: Mapping[str, str]) -> AuditResponse:
        """Send a GET and return the response; one that comes in lines is read as they are taken.

        Raises:
            AuditUnavailable: the service cannot be reached, or its address is not configured.
                Taking the lines raises it as well.
        """
        if self._url is None:
            raise AuditUnavailable(f"{self.variable} is not set")
        if self._session is None:
            timeout = aiohttp.ClientTimeout(
                total=None, connect=CONNECT_SECONDS, sock_read=self._silence
            )
            self._session = aiohttp.ClientSession(timeout=timeout, trust_env=False)
        try:
            url = URL(self._url + quote(path), encoded=True).update_query(query)
            response = await self._session.get(url)
            if response.status == HTTPStatus.OK and response.content_type == NDJSON:
                lines = self._lines(response)
                return AuditResponse(response.status, NDJSON, b"", lines, response.close)
            async with response:
                body = await response.read()
                return AuditResponse(response.status, response.content_type, body)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unavailable(error) from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _lines(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """Yield the body in parts that end with a line, so that a problem can follow each."""
        begun: list[bytes] = []
        try:
            async with response:
                async for part in response.content.iter_any():
                    whole, newline, rest = part.rpartition(b"\n")
                    if newline:
                        yield b"".join((*begun, whole, newline))
                        begun.clear()
                    begun.append(rest)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> AuditUnavailable:
        if isinstance(error, aiohttp.SocketTimeoutError):
            return AuditUnavailable(f"it has been silent for {self._silence:g} seconds")
        return AuditUnavailable(type(error).__name__)


class HttpPolicyReader(HttpAuditReader):
    """Reads from policy at ``url``; connects on the first request."""

    variable = "BUSBAR_POLICY_URL"
    silence = 5.0
    """Policy answers from its memory."""
