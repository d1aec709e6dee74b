"""HTTP to the gateway: token, retries and problems."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import aiohttp
import orjson
from pydantic import SecretStr

from busbar.kernel.errors import ConfigurationError
from busbar.messages.http import NDJSON
from busbar.sdk.errors import GatewayProblem, Unreachable
from busbar.sdk.key_token import KeyToken
from busbar.sdk.reading import Params
from busbar.sdk.retry import RETRIED_STATUSES, RetryPolicy, retry_after

CONNECT_SECONDS = 5.0
MAX_WAIT = 30.0
"""The longest wait of a long poll, in seconds."""

RESPONSE_SECONDS = 30.0
"""The time limit of a response, in addition to the wait of a long poll."""

SILENCE_SECONDS = 90.0
"""The longest time between two parts of a response that comes line by line."""

MAX_LINE = 16 * 1024 * 1024

_FIRST_ERROR = 300
_CREDENTIALS: Final = re.compile(r"(?:[^/?#]*//)?[^/?#]*@")
_CANNOT_READ = "The response is not one of busbar's; check that the URL is the gateway's."

Sleep = Callable[[float], Awaitable[None]]
OnWait = Callable[[str], None]
"""Is called with a sentence about what a request waits for, when it takes longer than usual."""

SLOW_SECONDS = 3.0
"""A request waits if it has no response after this time, in addition to that of a long poll."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request; ``wait`` is the time of its long poll, in seconds."""

    method: str
    path: str
    params: Params = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Response:
    """A successful response."""

    headers: Mapping[str, str]
    body: Any


class Transport:
    """Sends requests with a bearer token, and repeats those that may succeed later."""

    def __init__(
        self,
        url: str,
        token: SecretStr | KeyToken,
        *,
        retry: RetryPolicy,
        sleep: Sleep,
        on_wait: OnWait | None = None,
    ) -> None:
        _check_url(url)
        self.url = url.rstrip("/")
        self._token = token
        self.retry = retry
        self.sleep = sleep
        self._on_wait = on_wait
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the session."""
        self._open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close every connection."""
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, request: Request) -> Response:
        """Send ``request`` and return the response.

        Raises:
            GatewayProblem: the gateway refused.
            Unreachable: no response came, in any attempt.
        """
        attempt = 0
        begun = self.now()
        while True:
            attempt += 1
            asked: float | None = None
            failure: GatewayProblem | Unreachable
            try:
                status, headers, raw = await self._once(request)
            except (aiohttp.ClientError, OSError) as error:
                failure = Unreachable(self.url, _why(error))
                failure.__cause__ = error
            else:
                if status < _FIRST_ERROR:
                    return Response(headers, _parsed(status, raw))
                failure = _problem(status, raw)
                if status not in RETRIED_STATUSES:
                    raise failure
                asked = retry_after(headers)
            await self.before_next(attempt, failure, begun=begun, asked=asked)

    async def before_next(
        self,
        attempt: int,
        failure: GatewayProblem | Unreachable,
        *,
        begun: float,
        asked: float | None = None,
    ) -> None:
        """Sleep before the attempt that follows ``attempt``, or raise its ``failure``.

        The first attempt has ``begun`` at this time of the event loop; the server has ``asked``
        for so many seconds.
        """
        delay = self.retry.delay(attempt, asked, taken=self.now() - begun)
        if delay is None:
            raise failure
        if self._on_wait is not None:
            self._on_wait(str(failure))
        await self.sleep(delay)

    @staticmethod
    def now() -> float:
        """Return the time of the event loop."""
        return asyncio.get_running_loop().time()

    @contextmanager
    def _noticed(self, wait: float) -> Iterator[None]:
        """Say that the gateway has not answered, if the block runs for long."""
        if self._on_wait is None:
            yield
            return
        text = f"The gateway at {self.url} has not answered yet."
        notice = asyncio.get_running_loop().call_later(wait + SLOW_SECONDS, self._on_wait, text)
        try:
            yield
        finally:
            notice.cancel()

    async def _once(self, request: Request) -> tuple[int, Mapping[str, str], bytes]:
        timeout = aiohttp.ClientTimeout(
            total=request.wait + RESPONSE_SECONDS, connect=CONNECT_SECONDS
        )
        with self._noticed(request.wait):
            async with self._request(request, timeout) as response:
                return response.status, response.headers, await response.read()

    def _request(
        self, request: Request, timeout: aiohttp.ClientTimeout
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return self._open().request(
            request.method,
            self.url + request.path,
            params=request.params,
            data=request.body,
            headers={
                **request.headers,
                "Authorization": f"Bearer {self._bearer()}",
            },
            timeout=timeout,
            # A redirect would send the token to another server.
            allow_redirects=False,
        )

    def _bearer(self) -> str:
        token = self._token.token() if isinstance(self._token, KeyToken) else self._token
        return token.get_secret_value()

    async def lines(self, request: Request) -> AsyncIterator[Any]:
        """Send ``request`` once, and yield the lines of the response as they come.

        Raises:
            GatewayProblem: the gateway refused, or the response is not lines of JSON.
            Unreachable: no response came, or it broke off.
        """
        timeout = aiohttp.ClientTimeout(
            total=None, connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS
        )
        try:
            async with AsyncExitStack() as stack:
                with self._noticed(request.wait):
                    response = await stack.enter_async_context(self._request(request, timeout))
                if response.status >= _FIRST_ERROR:
                    raise _problem(response.status, await response.read())
                async for line in _lines(response):
                    yield _parsed(response.status, line)
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(self.url, _why(error)) from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers={"Accept": f"application/json, {NDJSON}"})
        return self._session


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    begun: list[bytes] = []
    async for part in response.content.iter_any():
        first, *others = part.split(b"\n")
        begun.append(first)
        for other in others:
            yield b"".join(begun)
            begun = [other]
        if sum(map(len, begun)) > MAX_LINE:
            raise _unreadable(response.status)
    if any(begun):
        yield b"".join(begun)


def _check_url(url: str) -> None:
    """Return if requests can be sent to ``url``.

    Raises:
        ConfigurationError: it is not the URL of a server, or has credentials in it.
    """
    if _CREDENTIALS.match(url):
        raise ConfigurationError(
            "The gateway's URL holds a user name or a password.",
            fix="Leave out everything up to the @; the token is the only credential.",
        )
    if "://" not in url:
        raise ConfigurationError(
            f"The gateway's URL {url} does not begin with http:// or https://.",
            fix=f"Write http://{url.lstrip('/')}, or https:// if the gateway is behind TLS.",
        )
    if not _names_a_server(url):
        raise ConfigurationError(
            f"The gateway's URL {url} is not the address of a server.",
            fix="Write it like http://127.0.0.1:8642, as `busbar up` prints it.",
        )


def _names_a_server(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of the address or the port
        return False


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no response within the time limit"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        return os.strerror(number).lower() if number else "the connection failed"
    return str(error) or type(error).__name__


def _parsed(status: int, raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except ValueError as error:
        raise _unreadable(status) from error


def _unreadable(status: int) -> GatewayProblem:
    return GatewayProblem(
        status=status, title="Unreadable response", fix=_CANNOT_READ, code="unexpected_answer"
    )


def _problem(status: int, raw: bytes) -> GatewayProblem:
    try:
        members = json.loads(raw)
    except ValueError:
        members = None
    return problem_of(status, members)


def problem_of(status: int, members: Any) -> GatewayProblem:
    """Return the problem with these ``members`` as an error."""
    if not isinstance(members, dict) or "title" not in members:
        return GatewayProblem(
            status=status,
            title=f"The server responded with status {status}",
            fix=_CANNOT_READ,
            code="unexpected_answer",
        )
    texts = {name: str(members.get(name) or "") for name in ("title", "detail", "fix", "code")}
    return GatewayProblem(status=status, **texts)
