"""A TCP proxy on loopback that cuts, delays, and swallows answers, where we can see it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from support import eventually

HOST = "127.0.0.1"
CHUNK = 65536

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
        self._far: asyncio.StreamWriter | None = None

    async def run(self, port: int) -> None:
        with suppress(OSError):
            far_reader, self._far = await asyncio.open_connection(HOST, port)
            there = asyncio.create_task(self._requests(self._far))
            back = asyncio.create_task(self._answers(far_reader))
            try:
                await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                there.cancel()
                back.cancel()
                await asyncio.gather(there, back, return_exceptions=True)
        self.abort()

    def abort(self) -> None:
        """Close both directions immediately."""
        for writer in (self._writer, self._far):
            if writer is not None:
                writer.transport.abort()

    async def _requests(self, far: asyncio.StreamWriter) -> None:
        while data := await self._reader.read(CHUNK):
            self._proxy.requests.append(data)
            self._swallowing = self._proxy.judge(data)
            await self._passing()
            far.write(data)
            await far.drain()

    async def _answers(self, far: asyncio.StreamReader) -> None:
        while data := await far.read(CHUNK):
            await self._passing()
            if self._swallowing:
                self._proxy.swallowed += 1
                return
            self._writer.write(data)
            await self._writer.drain()

    async def _passing(self) -> None:
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
        self.requests: list[bytes] = []
        self.judge: Judge = _nothing
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
