"""A complete status line and header decide a delivery, over real connections of odd receivers."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar.notifier.adapters.sender import AiohttpSender
from unit.notifier.conftest import LOOPBACK, attempt, raw_server, request, says

pytestmark = pytest.mark.timeout(60)

ODD = {
    "204 with a body": (b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", 204),
    "204 with bytes that nothing announces": (b"HTTP/1.1 204 No Content\r\n\r\nok", 204),
    "204 with chunks": (
        b"HTTP/1.1 204 No\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        204,
    ),
    "304 with a body": (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\nok", 304),
    "205 with a body": (b"HTTP/1.1 205 Reset\r\ncontent-length: 2\r\n\r\nok", 205),
    "a longer body": (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokay then", 200),
    "a shorter body": (b"HTTP/1.1 202 OK\r\ncontent-length: 10\r\n\r\nok", 202),
    "no body where one is announced": (b"HTTP/1.1 500 No\r\ncontent-length: 10\r\n\r\n", 500),
    "a length that is not a number": (b"HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\nok", 200),
    "a negative length": (b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok", 200),
    "two lengths": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
        200,
    ),
    "a length and chunks": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nok",
        200,
    ),
    "chunks that are none": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n\r\n",
        200,
    ),
    "chunks that break off": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\nabc",
        200,
    ),
    "an unknown transfer coding": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked, gzip\r\n\r\nok",
        200,
    ),
    "a content coding that is not one": (
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nok",
        200,
    ),
    "two answers": (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 500 No\r\n\r\n", 200),
    "interim answers": (
        b"HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 103 Hints\r\nlink: x\r\n\r\nHTTP/1.1 201 Made\r\n\r\n",
        201,
    ),
    "another protocol": (
        b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nbytes",
        101,
    ),
    "HTTP/1.0 without a reason": (b"HTTP/1.0 200\r\n\r\nok", 200),
    "lines without CR": (b"HTTP/1.1 200 OK\nx: y\n\nok", 200),
    "a field without a colon": (b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", 200),
    "a field with odd bytes": (b"HTTP/1.1 200 OK\r\nx\x01 y: \xff\x00\r\n\r\n", 200),
    "a long field": (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 20_000 + b"\r\n\r\n", 200),
    "many fields": (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1000 + b"\r\n", 200),
    "an unknown status": (b"HTTP/1.1 799 Odd\r\n\r\n", 799),
}


@pytest.mark.parametrize("reset", [False, True], ids=["closes", "resets"])
@pytest.mark.parametrize("name", ODD)
async def test_status_line_and_header_decide_whatever_follows(name: str, *, reset: bool) -> None:
    raw, status = ODD[name]
    async with raw_server(says(raw, reset=reset)) as url:
        result = await attempt(url)
    assert (result.status, result.error) == (status, None)


@pytest.mark.parametrize("name", [name for name in ODD if len(ODD[name][0]) < 200])
async def test_they_decide_if_every_byte_arrives_on_its_own(name: str) -> None:
    raw, status = ODD[name]
    async with raw_server(says(*(raw[at : at + 1] for at in range(len(raw))))) as url:
        result = await attempt(url)
    assert (result.status, result.error) == (status, None)


@settings(max_examples=40, deadline=None)
@given(
    head=st.sampled_from([b"HTTP/1.1 204 No\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n"]),
    rest=st.lists(st.binary(min_size=1, max_size=20), max_size=4),
    cut=st.integers(1, 60),
    reset=st.booleans(),
)
def test_random_bytes_behind_a_header_change_nothing(
    head: bytes, rest: list[bytes], cut: int, *, reset: bool
) -> None:
    raw = head + b"\r\n"

    async def deliver() -> int | None:
        pieces = (raw[:cut], raw[cut:], *rest)
        async with raw_server(says(*(piece for piece in pieces if piece), reset=reset)) as url:
            return (await attempt(url)).status

    assert asyncio.run(deliver()) == int(head[9:12])


async def test_an_answer_that_comes_before_its_request_counts() -> None:
    async def early(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: asyncio.Event
    ) -> None:
        writer.write(b"HTTP/1.1 503 Busy\r\nretry-after: 9\r\n\r\n")
        await writer.drain()
        await reader.readuntil(b"{}")

    async with raw_server(early) as url:
        result = await attempt(url)
    assert (result.status, result.retry_after) == (503, "9")


@pytest.mark.parametrize("again", [b"ok", b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"])
async def test_what_comes_late_never_answers_the_next_request(again: bytes) -> None:
    connections = 0

    async def serve(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: asyncio.Event
    ) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        await answered.wait()
        writer.write(again)
        await writer.drain()
        await reader.read()  # until the sender closes the connection
        closed.set()

    answered, closed = asyncio.Event(), asyncio.Event()
    async with raw_server(serve) as url, AiohttpSender(allow_networks=LOOPBACK) as sender:
        assert (await sender.send(request(url))).status == 200
        answered.set()
        async with asyncio.timeout(10):
            await closed.wait()
        assert (await sender.send(request(url))).status == 200
    assert connections == 2


async def test_a_connection_with_a_body_behind_a_204_is_not_used_again() -> None:
    connections = 0

    async def serve(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: asyncio.Event
    ) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 204 No\r\ncontent-length: 2\r\n\r\n")
        await writer.drain()
        await reader.read()

    async with raw_server(serve) as url, AiohttpSender(allow_networks=LOOPBACK) as sender:
        for _ in range(2):
            assert (await sender.send(request(url))).status == 204
    assert connections == 2
