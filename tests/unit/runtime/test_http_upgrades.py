"""Requests that offer another protocol are read like any other, with their bodies."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from busbar.runtime.http.server import HttpServer, Receive, Scope, Send, listen, respond

H2C = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
OFFERS = [
    "",
    H2C,
    "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: eA==\r\n",
    "Connection: upgrade\r\nUpgrade: TLS/1.0\r\n",
    "Upgrade: h2c\r\n",
]


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what was received."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    names = sorted(name.decode() for name, _ in scope["headers"])
    await respond(send, 200, {"target": scope["path"], "body": body.decode(), "headers": names})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = HttpServer(echo, listen("127.0.0.1", 0))
    server.start()
    yield server.port
    await server.stop()


def request(offer: str, body: str, *, target: str = "/a", more: str = "") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"POST {target} HTTP/1.1\r\nHost: x\r\n{offer}{length}{more}\r\n{body}".encode()


async def answers(port: int, pieces: Sequence[bytes], count: int = 1) -> list[Any]:
    """Return the bodies of ``count`` responses to a connection that sends ``pieces``."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    found = []
    for _ in range(count):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert head.startswith("http/1.1 200"), head
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        found.append(json.loads(await reader.readexactly(length)))
    writer.close()
    await writer.wait_closed()
    return found


@pytest.mark.parametrize("offer", OFFERS)
async def test_the_body_arrives_whatever_protocol_is_offered(port: int, offer: str) -> None:
    (found,) = await answers(port, [request(offer, "the body", target="/a%20b?c")])
    assert (found["target"], found["body"]) == ("/a b", "the body")


@pytest.mark.parametrize("offer", OFFERS)
async def test_it_arrives_in_any_pieces(port: int, offer: str) -> None:
    whole = request(offer, "the body")
    (found,) = await answers(port, [whole[at : at + 1] for at in range(len(whole))])
    assert found["body"] == "the body"


async def test_an_offer_without_a_body_and_in_chunks(port: int) -> None:
    assert (await answers(port, [request(H2C, "")]))[0]["body"] == ""
    chunks = "Transfer-Encoding: chunked\r\n"
    whole = request(H2C, "", more=chunks) + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert (await answers(port, [whole]))[0]["body"] == "abcde"


async def test_many_requests_in_one_packet_are_all_answered(port: int) -> None:
    whole = b"".join(request(OFFERS[n % 2], f"body {n}") for n in range(300))
    found = await answers(port, [whole], count=300)
    assert [one["body"] for one in found] == [f"body {n}" for n in range(300)]


async def test_headers_of_the_offer_are_left_out_and_close_is_kept(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(H2C.replace("Upgrade,", "close, Upgrade,"), "x", more="X-Own: 1\r\n"))
    answer = (await reader.read()).decode()
    assert "connection: close" in answer.lower()
    assert json.loads(answer.splitlines()[-1])["headers"] == [
        "connection",
        "content-length",
        "host",
        "x-own",
    ]
    writer.close()


async def test_what_is_not_http_is_refused(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"nonsense\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 400")
    writer.close()
