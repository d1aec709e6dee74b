"""A TCP proxy on loopback that cuts, holds, delays and loses, and swallows answers."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from support import eventually
from support.lasting import last

HOST = "127.0.0.1"
CHUNK = 65536
REMEMBERED = 20_000

Judge = Callable[[bytes], bool]
"""Whether the answer to this request has to be swallowed."""


class Connection:
    """One connection through the proxy, in both directions."""

    def __init__(
        self, proxy: "Proxy", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._reader, self._writer = reader, writer
        self.port: int = writer.get_extra_info("peername")[1]
        self.flowing = asyncio.Event()
        self.flowing.set()
        self._swallowing = False
        self._lost = False
        self._far: asyncio.StreamWriter | None = None

    async def run(self, port: int) -> None:
        with suppress(OSError):
            far_reader, self._far = await asyncio.open_connection(HOST, port)
            there = asyncio.create_task(self._requests(self._far))
            back = asyncio.create_task(self._answers(far_reader))
            try:
                await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
                if self._lost:
                    await asyncio.wait({there})
            finally:
                there.cancel()
                back.cancel()
                await asyncio.gather(there, back, return_exceptions=True)
        self.abort()

    def lose(self) -> None:
        """Lose the far side without a word: what is sent on disappears, and nothing comes back."""
        self._lost = True
        self.flowing.set()
        if self._far is not None:
            self._far.transport.abort()

    def abort(self) -> None:
        """Close both directions immediately."""
        for writer in (self._writer, self._far):
            if writer is not None:
                writer.transport.abort()

    async def _requests(self, far: asyncio.StreamWriter) -> None:
        while data := await self._reader.read(CHUNK):
            self._proxy.passed(data)
            self._swallowing = self._proxy.judge(data)
            await self._passing()
            if self._lost:
                continue
            far.write(data)
            await far.drain()

    async def _answers(self, far: asyncio.StreamReader) -> None:
        while data := await far.read(CHUNK):
            await self._passing()
            if self._lost:
                return
            if self._swallowing:
                self._proxy.swallowed += 1
                return
            self._writer.write(data)
            await self._writer.drain()

    async def _passing(self) -> None:
        if self._proxy.delay:
            await last(self._proxy.delay)
        await self._proxy.flowing.wait()
        await self.flowing.wait()


class Proxy:
    """Forwards connections to ``target`` on loopback, unless it is cut."""

    def __init__(self, target: Callable[[], int]) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._cut = False
        self.port = 0
        self.connections: set[Connection] = set()
        self.requests: deque[bytes] = deque(maxlen=REMEMBERED)
        """The newest pieces of requests."""
        self.count = 0
        """How many pieces of requests have come."""
        self.delay = 0.0
        """Seconds by which each piece is late, in both directions."""
        self.judge: Judge = _nothing
        self._awaited: tuple[int, asyncio.Event] | None = None
        self.swallowed = 0
        self.flowing = asyncio.Event()
        self.flowing.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        self.flowing.set()
        for connection in list(self.connections):
            connection.abort()
        await eventually(lambda: not self.connections, what="the end of every connection")

    def cut(self, *, silently: bool) -> None:
        """Let nothing through: ``silently`` as a broken cable does, else as a firewall refuses."""
        if silently:
            self.flowing.clear()
            return
        self._cut = True
        for connection in list(self.connections):
            connection.abort()

    def restore(self) -> None:
        """Restore the link; clients that were cut off have to connect again."""
        self._cut = False
        if not self.flowing.is_set():
            for connection in list(self.connections):
                connection.abort()
        self.flowing.set()

    def hold(self) -> None:
        """Hold everything back, and lose nothing; :meth:`let_go` passes it on."""
        self.flowing.clear()

    def let_go(self) -> None:
        """Pass on what was held back."""
        self.flowing.set()

    def lose(self) -> None:
        """Lose the far side of every open connection without a word; new ones work."""
        for connection in list(self.connections):
            connection.lose()

    def reset(self) -> None:
        """Reset every open connection; new ones work."""
        for connection in list(self.connections):
            connection.abort()

    def passed(self, data: bytes) -> None:
        """Count a piece of a request."""
        self.requests.append(data)
        self.count += 1
        if self._awaited is not None and self.count >= self._awaited[0]:
            self._awaited[1].set()

    async def more(self, count: int) -> None:
        """Return when ``count`` more pieces of requests have come."""
        reached = asyncio.Event()
        self._awaited = (self.count + count, reached)
        await reached.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        connection = Connection(self, reader, writer)
        self.connections.add(connection)
        try:
            await self.flowing.wait()
            await connection.run(self._target())
        except OSError:
            connection.abort()
        finally:
            self.connections.discard(connection)


def _nothing(_request: bytes) -> bool:
    return False
