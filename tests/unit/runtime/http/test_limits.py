"""Bytes and time of a client are limited, and none causes an error in the log."""

import asyncio
import json
import logging
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from fastapi import FastAPI, Request

from busbar.runtime.http.problems import install
from busbar.runtime.http.server import HttpServer, Receive, Scope, Send, listen, respond
from busbar.testing import ManualClock
from support import eventually

KIB = 1024
CHUNKED = b"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
LENGTH = b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
GET = b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n"
TOO_LARGE = {
    "one header": (b"GET / HTTP/1.1\r\nx: ", b"a"),
    "the name of a header": (b"GET / HTTP/1.1\r\n", b"a"),
    "many headers": (b"GET / HTTP/1.1\r\n", b"name: value\r\n"),
    "a URL": (b"GET /", b"a"),
    "blank lines": (b"", b"\r\n"),
    "an extension of a chunk": (CHUNKED + b"1;", b"a"),
    "a field after the body": (CHUNKED + b"0\r\nx: ", b"a"),
}


class Server:
    """A server whose seconds the test counts."""

    def __init__(self) -> None:
        self.clock = ManualClock(auto_advance=False)
        self.http = HttpServer(self.app, listen("127.0.0.1", 0), clock=self.clock)
        self.seen: list[str] = []
        self.allowed = asyncio.Semaphore(0)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the length of the body; two paths wait for :meth:`allow`.

        ``/late`` waits before it reads the body, and ``/held`` before it answers.
        """
        self.seen.append(scope["path"])
        if scope["path"] == "/late":
            await self.allowed.acquire()
        length, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.seen.append("gone")
                return
            length, more = length + len(message["body"]), message["more_body"]
        if scope["path"] == "/held":
            await self.allowed.acquire()
        await respond(send, 200, {"length": length})

    def allow(self, count: int) -> None:
        """Let so many requests go on."""
        for _ in range(count):
            self.allowed.release()

    async def pass_seconds(self, count: int) -> None:
        """Let all connections count so many seconds."""
        for _ in range(count):
            self.clock.advance(1)
            await eventually(partial(self._counted, len(self.clock.slept)), every=0.001)

    def _counted(self, before: int) -> bool:
        return len(self.clock.slept) > before

    async def connect(self, *pieces: bytes) -> tuple[StreamReader, StreamWriter]:
        """Return a connection that has sent ``pieces``."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.http.port)
        for piece in pieces:
            writer.write(piece)
        await eventually(lambda: self.clock.slept)
        await settle()
        return reader, writer


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()
    found.http.start()
    yield found
    found.allow(9)
    await found.http.stop()


@pytest.fixture(autouse=True)
def _no_error_is_logged(caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level(logging.WARNING)
    yield
    assert [record.getMessage() for record in caplog.get_records("call")] == []


async def settle() -> None:
    """Let the server, which is in this event loop, read what was sent."""
    for _ in range(100):
        await asyncio.sleep(0)


async def answer(reader: StreamReader) -> tuple[int, Any]:
    """Return the status and the JSON of the next answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    return int(head.split()[1]), json.loads(await reader.readexactly(length))


async def last_code(reader: StreamReader) -> tuple[int, str]:
    """Return the status and the code of the only answer of a connection that has ended."""
    raw = await reader.read()
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"connection: close" in head, raw
    return int(head.split()[1]), json.loads(body)["code"]


async def write_on_and_on(writer: StreamWriter, data: bytes) -> None:
    while True:
        writer.write(data)
        await writer.drain()


# -- bytes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TOO_LARGE)
async def test_what_never_ends_is_refused_and_the_rest_dropped(server: Server, name: str) -> None:
    begin, repeated = TOO_LARGE[name]
    reader, writer = await server.connect(begin)
    endless = repeated * (4 * KIB * KIB // len(repeated))
    writer.write(endless)
    await writer.drain()  # the client can go on writing: nothing is reset before it has the answer
    assert await last_code(reader) == (431, "head_too_large")
    await server.pass_seconds(3)
    with pytest.raises(ConnectionError):
        await write_on_and_on(writer, endless)
    writer.close()


async def test_a_head_of_exactly_the_limit_is_accepted(server: Server) -> None:
    frame = len(b"GET /read HTTP/1.1\r\nx: \r\n\r\n")
    for more, status in ((0, 200), (1, 431)):
        value = b"a" * (64 * KIB - frame + more)
        reader, writer = await server.connect(b"GET /read HTTP/1.1\r\nx: " + value + b"\r\n\r\n")
        assert (await answer(reader))[0] == status
        writer.close()


async def test_bodies_are_not_limited_by_the_size_of_a_head(server: Server) -> None:
    size = 300 * KIB
    chunks = (b"%x\r\n" % size + b"a" * size + b"\r\n") * 2 + b"0\r\n\r\n"
    whole = (LENGTH % size + b"a" * size + CHUNKED + chunks) * 2
    reader, writer = await server.connect(whole)
    lengths = [(await answer(reader))[1]["length"] for _ in range(4)]
    assert lengths == [size, 2 * size] * 2
    writer.close()


# -- time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("begin", [b"G", b"\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nx: a"])
async def test_headers_have_ten_seconds(server: Server, begin: bytes) -> None:
    reader, writer = await server.connect(begin)
    await server.pass_seconds(10)
    assert not reader.at_eof()
    await server.pass_seconds(1)
    assert await last_code(reader) == (408, "too_slow")
    writer.close()


async def test_headers_that_go_on_have_no_more_time(server: Server) -> None:
    reader, writer = await server.connect(GET[:-2])
    for number in range(11):
        writer.write(b"x-%d: 1\r\n" % number)
        await server.pass_seconds(1)
    assert await last_code(reader) == (408, "too_slow")
    writer.close()


@pytest.mark.parametrize("begin", [LENGTH % 9 + b"a", CHUNKED, CHUNKED + b"1\r\na\r\n0"])
async def test_a_body_may_stop_for_ten_seconds(server: Server, begin: bytes) -> None:
    reader, writer = await server.connect(begin)
    await server.pass_seconds(10)
    assert server.seen == ["/read"]
    await server.pass_seconds(1)
    assert await last_code(reader) == (408, "too_slow")
    assert server.seen == ["/read", "gone"]
    writer.close()


async def test_a_body_has_a_minute(server: Server) -> None:
    reader, writer = await server.connect(CHUNKED)
    for _ in range(60):
        writer.write(b"1\r\na\r\n")
        await settle()
        await server.pass_seconds(1)
    assert server.seen == ["/read"]
    await server.pass_seconds(1)
    assert await last_code(reader) == (408, "too_slow")
    writer.close()


async def test_the_time_in_which_the_service_does_not_read_does_not_count(server: Server) -> None:
    size = 4 * KIB * KIB
    reader, writer = await server.connect((LENGTH % size).replace(b"/read", b"/late"), b"a" * size)
    expects = (
        (LENGTH % 2).replace(b"/read", b"/late").replace(b"x\r", b"x\r\nExpect: 100-continue\r")
    )
    waiting, expecting = await server.connect(expects)
    await server.pass_seconds(70)
    server.allow(2)
    assert await answer(reader) == (200, {"length": size})
    assert (await waiting.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
    expecting.write(b"ok")
    assert await answer(waiting) == (200, {"length": 2})
    writer.close()
    expecting.close()


async def test_an_answer_that_takes_long_is_waited_for(server: Server) -> None:
    reader, writer = await server.connect(GET)
    await server.pass_seconds(100)
    server.allow(2)
    assert (await answer(reader))[0] == 200
    writer.close()


async def test_a_connection_without_a_request_ends_after_thirty_seconds(server: Server) -> None:
    reader, writer = await server.connect()
    await server.pass_seconds(30)
    assert not reader.at_eof()
    await server.pass_seconds(1)
    assert await reader.read() == b""
    writer.close()


async def test_a_process_that_was_stopped_for_a_minute_blames_no_client(server: Server) -> None:
    reader, writer = await server.connect(LENGTH % 2 + b"o")
    server.clock.advance(60)
    await eventually(lambda: len(server.clock.slept) > 1)
    writer.write(b"k")
    assert await answer(reader) == (200, {"length": 2})
    writer.close()


# -- what is not HTTP, and clients that leave -----------------------------------------------------


async def test_requests_before_the_refused_one_are_answered_first(server: Server) -> None:
    reader, writer = await server.connect(GET, GET, b"nonsense\r\n\r\n")
    await server.pass_seconds(40)
    server.allow(2)
    assert [(await answer(reader))[0] for _ in range(2)] == [200, 200]
    assert await last_code(reader) == (400, "malformed_request")
    writer.close()


async def test_a_bad_body_of_a_waiting_request_does_not_harm_the_one_before(server: Server) -> None:
    reader, writer = await server.connect(GET, CHUNKED, b"zz\r\n")
    server.allow(2)
    assert (await answer(reader))[0] == 200
    assert await last_code(reader) == (400, "malformed_request")
    assert server.seen == ["/held"]
    writer.close()


@pytest.mark.parametrize("field", [b"ce-type: a.b", b"ce-sneaky: 1", b"Authorization: x"])
async def test_a_field_after_the_body_is_refused(server: Server, field: bytes) -> None:
    reader, writer = await server.connect(CHUNKED, b"1\r\na\r\n0\r\n" + field + b"\r\n\r\n")
    assert await last_code(reader) == (400, "unsupported_trailer")
    assert server.seen == ["/read", "gone"]
    writer.close()


@pytest.mark.parametrize("leave", ["abort", "close", "write_eof"])
async def test_clients_that_leave_before_their_answers_log_nothing(
    server: Server, leave: str
) -> None:
    state = server.http._server.server_state
    _, writer = await server.connect(GET * 3)
    getattr(writer.transport, leave)()
    await settle()
    await eventually(lambda: not state.connections)
    server.allow(3)
    await eventually(lambda: not state.tasks)
    writer.close()


async def test_clients_that_leave_after_the_first_answer_log_nothing(server: Server) -> None:
    state = server.http._server.server_state
    reader, writer = await server.connect(GET * 3)
    server.allow(1)
    await answer(reader)
    await eventually(lambda: len(server.seen) == 2)
    writer.transport.abort()
    await eventually(lambda: not state.connections)
    server.allow(2)
    await eventually(lambda: not state.tasks)
    writer.close()


@pytest.mark.parametrize("body", [LENGTH % 100 + b"a", CHUNKED + b"zz\r\n", CHUNKED + b"5\r\nab"])
async def test_a_body_that_breaks_off_logs_nothing(body: bytes) -> None:
    app = FastAPI()
    install(app)
    ended: list[str] = []

    @app.post("/read")
    async def read(request: Request) -> None:
        try:
            await request.body()
        finally:
            ended.append("ended")

    server = HttpServer(app, listen("127.0.0.1", 0))
    server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(body)
    writer.write_eof()
    await reader.read()
    await eventually(lambda: ended)
    writer.close()
    await server.stop()
