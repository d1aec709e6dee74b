"""A client without a token can use up neither memory nor connections of a service."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import chain, repeat

import pytest
from starlette.requests import Request
from structlog.testing import capture_logs

from busbar.runtime.http.protocol import MAX_HEAD_BYTES, LimitedHttpProtocol
from busbar.runtime.http.server import (
    HealthApp,
    HttpServer,
    Receive,
    Scope,
    Send,
    listen,
    respond,
)

CHUNK = 16 * 1024


async def no_problems() -> dict[str, str]:
    return {}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the headers once the body was read."""
    body = await Request(scope, receive).body()  # type: ignore[arg-type]  # a scope is a mapping
    names = sorted(name.decode() for name, _ in scope["headers"])
    await respond(send, 200, {"headers": names, "body": body.decode()})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = HttpServer(HealthApp("x", no_problems, echo), listen("127.0.0.1", 0))
    server.start()
    yield server.port
    await server.stop()


async def status_of(port: int, pieces: Iterator[bytes]) -> str:
    """The status line that comes while ``pieces`` are sent, until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = asyncio.create_task(reader.read())
    for piece in pieces:
        if answer.done():
            break
        try:
            writer.write(piece)
            await writer.drain()
        except ConnectionError:
            break
        await asyncio.sleep(0)
    try:
        return (await asyncio.wait_for(answer, 20)).split(b"\r\n")[0].decode()
    except ConnectionError:
        return "closed"
    finally:
        writer.close()


HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
LONG: dict[str, Iterator[bytes]] = {
    "a header without an end": chain([HEAD, b"x: "], repeat(b"a" * CHUNK, 1000)),
    "headers without an end": chain([HEAD], repeat(b"x: y\r\n" * 1000, 1000)),
    "a request line without an end": chain([b"GET /"], repeat(b"a" * CHUNK, 1000)),
    "a second request with a header without an end": chain(
        [HEAD + b"\r\n", HEAD, b"x: "], repeat(b"a" * CHUNK, 1000)
    ),
}


@pytest.mark.parametrize("name", LONG)
async def test_what_precedes_a_body_is_limited_in_size(port: int, name: str) -> None:
    sent = 0

    def counted() -> Iterator[bytes]:
        nonlocal sent
        for piece in LONG[name]:
            sent += len(piece)
            yield piece

    status = await status_of(port, counted())
    assert status in {
        "HTTP/1.1 431 Request Header Fields Too Large",
        "HTTP/1.1 400 Bad Request",
        "HTTP/1.1 200 OK",  # the first of two requests
        "closed",
    }
    # What the kernel has taken is counted as sent; it is never as much as is offered.
    assert sent < 10 * CHUNK * 100


async def test_headers_within_the_limit_are_read(port: int) -> None:
    head = HEAD + b"x: " + b"a" * (MAX_HEAD_BYTES // 2) + b"\r\nConnection: close\r\n\r\n"
    assert await status_of(port, iter([head])) == "HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "begun",
    [b"", b"GET /healthz HT", HEAD, HEAD + b"Content-Length: 9\r\n\r\nbod"],
    ids=["nothing", "a part of the line", "a part of the headers", "a part of the body"],
)
async def test_a_request_that_does_not_go_on_is_ended(
    port: int, begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LimitedHttpProtocol, "head_seconds", 0.1)
    monkeypatch.setattr(LimitedHttpProtocol, "body_seconds", 0.1)
    post = begun.replace(b"GET /healthz", b"POST /x")
    assert await status_of(port, iter([post])) in {"HTTP/1.1 408 Request Timeout", ""}


async def test_the_trailer_of_a_body_is_ignored(port: int) -> None:
    sent = (
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"2\r\nok\r\n0\r\nce-type: busbar.resource.apply.v1\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    assert b'"body": "ok"' in answer
    assert b"ce-type" not in answer


@pytest.mark.parametrize(
    "begun",
    [
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nb",
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        (HEAD + b"\r\n") * 3,
    ],
    ids=["a part of the body", "a bad chunk", "three requests"],
)
async def test_a_client_that_leaves_is_not_logged_as_an_error(
    port: int, begun: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with capture_logs() as logs:
        for _ in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(begun)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            del reader
        assert await status_of(port, iter([HEAD + b"Connection: close\r\n\r\n"]))
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    assert [log for log in logs if log["log_level"] == "error"] == []
