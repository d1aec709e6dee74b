"""Sends webhooks with aiohttp, and never connects to an address that webhooks may not reach.

The guard sits where the concrete address is known: in the connector's ``socket_factory``, which
sees every address before the connect, whether it came from DNS or from the URL. A guarded resolver
alone is not enough, because literal addresses never reach it. The resolver is wrapped as well, so
that a name with one refused address among its answers is always refused as a whole.

Limits: one POST per attempt, no redirects, no proxy and no netrc from the environment, no cookies,
no decompression, at most 16 KiB of the response's body, one timeout over everything. The body of
a response is discarded: it reaches no log, no error and no fact. A complete status line and header
are the answer, whatever follows them (``connections``).
"""

import asyncio
import errno
import re
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from types import TracebackType
from typing import Final, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from busbar.notifier.adapters.connections import CURRENT, Exchange, NotingConnector
from busbar.notifier.domain import (
    REFUSED_NETWORKS,
    Attempt,
    ErrorCode,
    Network,
    WebhookRequest,
    is_refused,
)
from busbar.notifier.domain.answer import AnswerHead

__all__ = ["MAX_RESPONSE_BYTES", "REFUSED_NETWORKS", "AiohttpSender", "url_problem"]

MAX_RESPONSE_BYTES: Final = 16 * 1024
"""Maximum part of a response's body that is read, so that its connection can be reused."""

KEEPALIVE_SECONDS: Final = 4.0
"""Idle connections are closed before receivers do it: common servers wait 5 seconds."""

# Wider than DNS, narrow enough for the C library: no NUL, no space, no percent sign.
_NAME = re.compile(r"[a-zA-Z0-9._-]+")

_TARGET = re.compile(r"[^:/?#]+://[^/?#]*(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#.*)?")
"""Path and query of a URL, as they are written (RFC 3986, appendix B)."""

_SENDABLE = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?\[\]-]|%[0-9A-Fa-f]{2})*")
"""What a request target may have (RFC 3986, section 3.3), and brackets, which many APIs use."""

_UNREACHABLE_NETWORK = (
    "the address is in a network that webhooks may not reach: use a public address, or ask the "
    "operator to allow the network"
)


class AddressRefused(OSError):
    """The guard refused to connect; an ``OSError``, because connectors handle those."""

    def __init__(self) -> None:
        # The address is not named: it may be a private one behind a public name.
        super().__init__(errno.EACCES, _UNREACHABLE_NETWORK)


def url_problem(url: str, allow_networks: Sequence[Network] = ()) -> str | None:
    """Return what is wrong with ``url`` as a subscription's address, or None.

    Only the text is checked; names are checked by their DNS answers at every connect.
    """
    parsed = _parse(url)
    if isinstance(parsed, str):
        return parsed
    host = parsed.raw_host or ""
    if host.rstrip(".").rpartition(".")[2] == "localhost":
        host = "127.0.0.1"  # RFC 6761 section 6.3: resolved without DNS
    if _is_address(host) and is_refused(host, allow_networks):
        return _UNREACHABLE_NETWORK
    return None


def _parse(url: str) -> URL | str:
    """Return ``url`` with the request target as it is written, or a sentence about an error in it.

    The host takes its canonical form, which is the one that is checked. Path and query stay as
    they are: receivers compare them byte for byte, and signatures of theirs may cover them.
    """
    if any(character.isspace() for character in url):
        return "the URL contains white space: remove it, or write it as %20"
    written = _TARGET.fullmatch(url)
    try:
        parsed = URL(url)
    except ValueError:
        return "the URL is malformed: write it as https://host/path"
    if written is None or parsed.scheme not in {"http", "https"} or not parsed.raw_host:
        return "the URL needs the scheme http or https and a host: write it as https://host/path"
    if "@" in parsed.raw_authority:
        return "the URL contains a user name or a password: leave them out, requests are signed"
    if not parsed.port:
        return "the URL has port 0, which cannot be reached: use the receiver's port"
    if problem := _host_problem(parsed.raw_host):
        return problem
    path, query = written["path"] or "/", written["query"]
    if not _SENDABLE.fullmatch(path) or not _SENDABLE.fullmatch(query or ""):
        return "the URL's path or query has a character that must be percent-encoded (RFC 3986)"
    # Built in one piece: yarl leaves out a query that is empty.
    target = path if query is None else f"{path}?{query}"
    return URL.build(
        scheme=parsed.scheme, authority=parsed.raw_authority, path=target, encoded=True
    )


def _host_problem(host: str) -> str | None:
    if _is_address(host):
        return None
    if not _NAME.fullmatch(host):
        return "the URL's host is malformed: use a DNS name or an address"
    if _is_odd_address(host):
        return "the URL spells an IPv4 address in an unusual form: write it as a.b.c.d"
    return None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_odd_address(host: str) -> bool:
    """Return whether C libraries read ``host`` as an IPv4 address: 2130706433, 0x7f.1, 127.1."""
    try:
        socket.inet_aton(host.rstrip("."))
    except OSError:
        return False
    return True


class _GuardedResolver(AbstractResolver):
    """Refuses a name as a whole if one of its addresses is refused."""

    def __init__(self, inner: AbstractResolver, allow_networks: Sequence[Network]) -> None:
        self._inner = inner
        self._allow_networks = allow_networks

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of ``host``, all of which webhooks may reach.

        Raises:
            OSError: there is none, or one is refused (:class:`AddressRefused`).
        """
        try:
            answers = await self._inner.resolve(host, port, family)
        except ValueError as error:  # a label that IDNA cannot encode
            raise OSError(errno.EINVAL, "the name is not a DNS name") from error
        if not answers:
            raise OSError(errno.ENOENT, "the name has no address")
        if any(is_refused(answer["host"], self._allow_networks) for answer in answers):
            raise AddressRefused
        return answers

    async def close(self) -> None:
        """Close the wrapped resolver."""
        await self._inner.close()


class AiohttpSender:
    """A ``Sender`` with one session for all receivers, opened at the first attempt.

    ``allow_networks`` take precedence over the table of refused networks (127.0.0.0/8 for a
    developer's machine, ranges of a private network). ``resolver`` replaces DNS.

    The number of connections is not limited here: waiting for one would count against the
    attempt's timeout, so that dead receivers would make healthy ones fail. Limit the number of
    concurrent attempts instead.
    """

    def __init__(
        self,
        *,
        allow_networks: Sequence[Network] = (),
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._allow_networks = tuple(allow_networks)
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def send(self, request: WebhookRequest) -> Attempt:
        """POST ``request`` once; any behaviour of the network or the receiver is an outcome.

        Raises:
            RuntimeError: the sender is closed.
        """
        url = _parse(request.url)
        if isinstance(url, str):
            return Attempt(error="refused_url", detail=url)
        session = self._connect()
        exchange = Exchange()
        CURRENT.set(exchange)
        try:
            async with (
                asyncio.timeout(request.timeout),
                session.post(
                    url, data=request.body, headers=dict(request.headers), allow_redirects=False
                ) as response,
            ):
                await _drain(response)
        except TimeoutError:
            detail = f"no answer within {request.timeout:g} seconds"
            failure = Attempt(error="timeout", detail=detail)
        except aiohttp.ClientError as error:
            failure = _failure(error)
        else:
            failure = Attempt(error="bad_response", detail=_NOT_HTTP)
        finally:
            exchange.end()
        return _answer(exchange.head) if exchange.head else failure

    async def close(self) -> None:
        """Close every connection; a closed sender cannot send."""
        self._closed = True
        if self._session is not None:
            await self._session.close()
        if self._resolver is not None:
            await self._resolver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def _connect(self) -> aiohttp.ClientSession:
        if self._closed:
            raise RuntimeError("the sender is closed: create another one")
        if self._session is None:
            self._resolver = self._resolver or aiohttp.DefaultResolver()
            self._session = aiohttp.ClientSession(
                connector=NotingConnector(
                    limit=0,
                    use_dns_cache=False,  # connections are reused, so lookups are few
                    keepalive_timeout=KEEPALIVE_SECONDS,
                    resolver=_GuardedResolver(self._resolver, self._allow_networks),
                    socket_factory=self._socket,
                ),
                headers={"user-agent": "busbar", "accept-encoding": "identity"},
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),  # send() limits the whole attempt
                trust_env=False,
                auto_decompress=False,
            )
        return self._session

    def _socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        """Guard every address right before the connect to it."""
        family, kind, protocol, _, address = info
        if is_refused(str(address[0]), self._allow_networks):
            raise AddressRefused
        return socket.socket(family, kind, protocol)


def _answer(head: AnswerHead) -> Attempt:
    """Return what ``head`` decides, whatever followed it."""
    retry_after = head.retry_after
    return Attempt(
        status=head.status,
        # Stored with the delivery, so only text that can be a Retry-After.
        retry_after=retry_after[:64] if retry_after and retry_after.isascii() else None,
        detail=f"the receiver answered {head.status}",
    )


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read the body if it is small; a larger one closes the connection."""
    left = MAX_RESPONSE_BYTES
    while left > 0:
        chunk = await response.content.read(left)
        if not chunk:
            return
        left -= len(chunk)
    response.close()


_NOT_HTTP: Final = "the answer is not HTTP"
_FAILURES: Final[tuple[tuple[type[Exception], ErrorCode, str], ...]] = (
    (AddressRefused, "refused_address", _UNREACHABLE_NETWORK),
    (aiohttp.InvalidURL, "refused_url", "this URL cannot be requested: write https://host/path"),
    (aiohttp.ClientConnectorDNSError, "dns", "the host's name does not resolve"),
    (aiohttp.ClientSSLError, "tls", "TLS failed: check the receiver's certificate and its name"),
    (ConnectionRefusedError, "connection_refused", "nothing listens at the receiver's port"),
    (aiohttp.ClientConnectorError, "unreachable", "the receiver cannot be reached"),
    (aiohttp.ClientConnectionError, "connection_lost", "the connection closed before an answer"),
)
"""The first match counts: later ones are more general. The sentences name no address."""


def _failure(error: aiohttp.ClientError) -> Attempt:
    causes = (error, getattr(error, "os_error", None))
    for kind, code, detail in _FAILURES:
        if any(isinstance(cause, kind) for cause in causes):
            return Attempt(error=code, detail=detail)
    return Attempt(error="bad_response", detail=_NOT_HTTP)
