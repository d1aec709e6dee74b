"""A receiver, a resolver that lies, and canaries that must see no connect.

A canary listens where an attack aims. On loopback a connect is in the listener's queue before the
attempt ends, so an empty queue afterwards proves that there was no connect.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from busbar.notifier.adapters.sender import AiohttpSender
from busbar.notifier.domain import Attempt, Network, WebhookRequest, parse_networks
from busbar.runtime.store import open_store
from busbar.testing import ManualClock
from unit.notifier.bench import Bench

LOOPBACK = parse_networks(["127.0.0.0/8"])
ONLY_OURS = parse_networks(["127.0.0.1/32"])
"""The receiver is at 127.0.0.1; everything else of loopback stays refused."""


class Canary:
    """A listener on 127.0.0.1 or a neighbour that counts who connected."""

    def __init__(self, host: str) -> None:
        self._socket = socket.create_server((host, 0))
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]

    def connects(self) -> int:
        count = 0
        with suppress(BlockingIOError):
            while True:
                self._socket.accept()[0].close()
                count += 1
        return count

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def canary() -> Iterator[Canary]:
    """Sits at 127.0.0.1, where most literals point."""
    listener = Canary("127.0.0.1")
    yield listener
    listener.close()


@pytest.fixture
def neighbour() -> Iterator[Canary]:
    """Sits at 127.0.0.2, next to the allowed receiver."""
    listener = Canary("127.0.0.2")
    yield listener
    listener.close()


class FakeResolver(AbstractResolver):
    """Gives each lookup the next of the answers, repeating the last one; or fails."""

    def __init__(self, *answers: tuple[str, ...], error: Exception | None = None) -> None:
        self._answers = list(answers)
        self._error = error
        self.lookups = 0

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - the port's signature
    ) -> list[ResolveResult]:
        self.lookups += 1
        if self._error is not None:
            raise self._error
        addresses = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing to close."""


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Receiver:
    """A real HTTP server at 127.0.0.1 that keeps what it got."""

    def __init__(self) -> None:
        self.answer: Handler = self.accept
        self.requests: list[tuple[web.BaseRequest, bytes]] = []
        self.peers: set[object] = set()
        self.port = 0
        self.stop = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def accept(self, _: web.Request) -> web.StreamResponse:
        return web.Response(status=204)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request, await request.read()))
        self.peers.add(request.transport and request.transport.get_extra_info("peername"))
        return await self.answer(request)

    def answers(self, status: int, body: bytes = b"", **headers: str) -> None:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}

        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(status=status, body=body, headers=fields)

        self.answer = answer


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.port = runner.addresses[0][1]
    yield receiver
    receiver.stop.set()
    await runner.cleanup()


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter, asyncio.Event], Awaitable[None]]


@asynccontextmanager
async def raw_server(serve: Serve) -> AsyncIterator[str]:
    """A server that says whatever ``serve`` writes; gives its URL, leaves nothing running."""
    stop = asyncio.Event()
    connections: set[asyncio.Task[None] | None] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await serve(reader, writer, stop)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    stop.set()
    server.close()
    await asyncio.gather(*(task for task in connections if task is not None))


def says(*pieces: bytes, reset: bool = False) -> Serve:
    """Answer one request with ``pieces``, each sent on its own, then close or reset."""

    async def serve(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: asyncio.Event
    ) -> None:
        await reader.readuntil(b"{}")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)  # so that the client reads between two pieces
        if reset:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    return serve


def request(url: str, *, timeout: float = 5, body: bytes = b"{}") -> WebhookRequest:
    headers = {"webhook-id": "1", "content-type": "application/json"}
    return WebhookRequest(url=url, headers=headers, body=body, timeout=timeout)


async def attempt(
    url: str,
    *,
    allow: tuple[Network, ...] = LOOPBACK,
    resolver: AbstractResolver | None = None,
    timeout: float = 5,  # noqa: ASYNC109 - the request's, not ours
    body: bytes = b"{}",
) -> Attempt:
    async with AiohttpSender(allow_networks=allow, resolver=resolver) as sender:
        return await sender.send(request(url, timeout=timeout, body=body))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def bench(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Bench]:
    store = await open_store(tmp_path / "notifier.db", service="notifier", clock=clock)
    yield Bench(store, clock)
    await store.close()
