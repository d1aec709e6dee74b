"""Reads from the audit service over HTTP."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

import aiohttp
from yarl import URL

TIMEOUT = aiohttp.ClientTimeout(total=120, connect=2)


@dataclass(frozen=True, slots=True)
class AuditResponse:
    """An HTTP response of the audit service, unchanged."""

    status: int
    content_type: str
    body: bytes


class AuditUnavailable(Exception):
    """The audit service cannot be reached; the message is safe to show to clients."""


class HttpAuditReader:
    """Reads from the audit service at ``url``; connects on the first request."""

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str, query: Mapping[str, str]) -> AuditResponse:
        """Send a GET and return the response.

        Raises:
            AuditUnavailable: the service cannot be reached, or its address is not configured.
        """
        if self._url is None:
            raise AuditUnavailable("BUSBAR_AUDIT_URL is not set")
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=TIMEOUT, trust_env=False)
        try:
            url = URL(self._url + quote(path), encoded=True).update_query(query)
            async with self._session.get(url) as response:
                body = await response.read()
                return AuditResponse(response.status, response.content_type, body)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise AuditUnavailable(type(error).__name__) from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
