"""Audit's answers over HTTP, passed on as they come."""

from collections.abc import Mapping
from urllib.parse import quote

import aiohttp
from yarl import URL

from busbar.gateway.ports import Answer, AuditUnavailable

TIMEOUT = aiohttp.ClientTimeout(total=120, connect=2)


class HttpAuditReader:
    """Reads from the audit service at ``url``."""

    def __init__(self, url: str | None) -> None:
        """Connect at the first request."""
        self._url = url
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str, query: Mapping[str, str]) -> Answer:
        """The answer to a GET.

        Raises:
            AuditUnavailable: it cannot be reached, or nobody said where it is.
        """
        if self._url is None:
            raise AuditUnavailable("BUSBAR_AUDIT_URL is not set")
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=TIMEOUT, trust_env=False)
        try:
            url = URL(self._url + quote(path), encoded=True).update_query(query)
            async with self._session.get(url) as response:
                body = await response.read()
                return Answer(response.status, response.content_type, body)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise AuditUnavailable(type(error).__name__) from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
