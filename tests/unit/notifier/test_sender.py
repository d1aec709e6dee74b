"""The sender against real servers, good and bad."""

import asyncio
import gzip
import tracemalloc
from contextlib import suppress

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from busbar.messages.notification import ApplySubscription
from busbar.notifier.adapters.sender import (
    MAX_RESPONSE_BYTES,
    AiohttpSender,
    _parse,
    url_problem,
)
from busbar.notifier.handlers import Sender
from unit.notifier.conftest import (
    LOOPBACK,
    Canary,
    FakeResolver,
    Receiver,
    attempt,
    raw_server,
    request,
    says,
)

pytestmark = pytest.mark.timeout(20)

SUBSCRIPTION = {
    "team": "payments",
    "name": "s",
    "types": ["busbar.resource.*"],
    "secret": "secret:s",
}


async def test_a_webhook_arrives_with_its_headers_and_its_very_bytes(receiver: Receiver) -> None:
    body = b'{"a": "\xc3\xa9"}'
    result = await attempt(receiver.url, body=body)
    assert (result.status, result.error) == (204, None)
    ((got, content),) = receiver.requests
    assert (got.method, got.path, content) == ("POST", "/hook", body)
    assert got.headers["webhook-id"] == "1"
    assert got.headers["content-type"] == "application/json"
    assert got.headers["user-agent"] == "busbar"
    assert got.headers["accept-encoding"] == "identity"


TARGETS = [
    "/",
    "/h/%7Eu/%28x%29?sig=a%2Fb%3D&at=10%3A30",
    "/h/~u/(x)?sig=a/b=&at=10:30",
    "/a/../b/./c//d",
    "/?",
    "/hook?",
    "/hook?a=1&a=2&b[]=3&c=+&d=%20&e=%c3%bc",
    "/%2e%2e/%2F?x=?y=/",
]


@pytest.mark.parametrize("target", TARGETS)
async def test_the_request_target_is_the_subscribed_one_byte_for_byte(
    receiver: Receiver, target: str
) -> None:
    result = await attempt(f"http://127.0.0.1:{receiver.port}{target}")
    assert result.status == 204
    ((got, _),) = receiver.requests
    assert got.raw_path == target


@pytest.mark.parametrize(
    ("written", "asked"),
    [("HTTP://127.0.0.1:{port}", "/"), ("Http://127.0.0.1:{port}?a=1#f", "/?a=1")],
)
async def test_a_scheme_has_no_case_and_a_path_is_never_empty(
    receiver: Receiver, written: str, asked: str
) -> None:
    url = written.format(port=receiver.port)
    ApplySubscription.model_validate({**SUBSCRIPTION, "url": url})
    assert (await attempt(url)).status == 204
    ((got, _),) = receiver.requests
    assert got.raw_path == asked


_HEX = "0123456789abcdefABCDEF"
_PLAIN = "abcXYZ019-._~!$&'()*+,;=:@/[]"


@given(
    path=st.lists(
        st.sampled_from(_PLAIN) | st.text(_HEX, min_size=2, max_size=2).map("%".__add__)
    ).map("".join),
    query=st.none() | st.text(_PLAIN + "?"),
)
def test_whatever_a_target_may_have_is_kept(path: str, query: str | None) -> None:
    target = f"/{path}" if query is None else f"/{path}?{query}"
    parsed = _parse(f"https://receiver.example{target}")
    assert isinstance(parsed, URL), parsed
    assert parsed.raw_path_qs == target
    assert parsed.raw_host == "receiver.example"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (" https://receiver.example/x", "white space"),
        ("https://receiver.example/x ", "white space"),
        ("https://receiver.example/a b", "white space"),
        ("https://receiver.example/a\tb", "white space"),
        ("https://receiver.example/\u00a0", "white space"),
        ("https://receiver.example/ü", "percent-encoded"),
        ("https://receiver.example/?q=ü", "percent-encoded"),
        ("https://receiver.example/%", "percent-encoded"),
        ("https://receiver.example/%2", "percent-encoded"),
        ("https://receiver.example/%zz", "percent-encoded"),
        ('https://receiver.example/"', "percent-encoded"),
        ("https://receiver.example/a\\b", "percent-encoded"),
        ("https://receiver.example/{id}", "percent-encoded"),
        ("https://receiver.example/\x7f", "percent-encoded"),
        ("https://receiver.example/\x00", "percent-encoded"),
    ],
)
def test_a_target_that_could_not_be_sent_as_it_is_written_is_refused(url: str, reason: str) -> None:
    assert reason in (url_problem(url) or "")


async def test_a_failure_is_reported_with_its_retry_after_and_without_its_words(
    receiver: Receiver,
) -> None:
    receiver.answers(503, b"a secret of theirs", Retry_After="17")
    result = await attempt(receiver.url)
    assert (result.status, result.retry_after) == (503, "17")
    assert "secret" not in repr(result)


@pytest.mark.parametrize(("sent", "kept"), [("9" * 500, "9" * 64), ("caf\xe9", None), ("", None)])
async def test_a_retry_after_that_cannot_be_one_is_not_carried_along(
    receiver: Receiver, sent: str, kept: str | None
) -> None:
    receiver.answers(503, Retry_After=sent)
    assert (await attempt(receiver.url)).retry_after == kept


async def test_one_connection_serves_one_attempt_after_the_other(receiver: Receiver) -> None:
    receiver.answers(200, b"ok")
    async with AiohttpSender(allow_networks=LOOPBACK) as sender:
        for _ in range(3):
            assert (await sender.send(request(receiver.url))).status == 200
    assert len(receiver.requests) == 3
    assert len(receiver.peers) == 1


async def test_cookies_of_a_receiver_are_not_kept(receiver: Receiver) -> None:
    receiver.answers(200, Set_Cookie="a=b")
    url = receiver.url.replace("127.0.0.1", "receiver.example")
    async with AiohttpSender(
        allow_networks=LOOPBACK, resolver=FakeResolver(("127.0.0.1",))
    ) as sender:
        await sender.send(request(url))
        await sender.send(request(url))
    assert "cookie" not in receiver.requests[1][0].headers


async def test_a_compressed_bomb_is_not_expanded(receiver: Receiver) -> None:
    bomb = gzip.compress(bytes(12 * 1024 * 1024))
    assert len(bomb) < MAX_RESPONSE_BYTES  # so that it is read in full
    receiver.answers(200, bomb, Content_Encoding="gzip")
    tracemalloc.start()
    try:
        assert (await attempt(receiver.url)).status == 200
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1024 * 1024


async def test_an_endless_body_is_cut_off(receiver: Receiver) -> None:
    written = 0

    async def endless(got: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(got)
        with suppress(ConnectionError):
            while not receiver.stop.is_set():
                await response.write(bytes(65_536))
                written += 65_536
        receiver.stop.set()
        return response

    receiver.answer = endless
    async with asyncio.timeout(5):
        assert (await attempt(receiver.url, timeout=60)).status == 200
        await receiver.stop.wait()
    assert written < 16 * 1024 * 1024  # what socket buffers took in


async def test_a_dripping_body_is_bounded_by_the_timeout_of_the_attempt(
    receiver: Receiver,
) -> None:
    async def drip(got: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(got)
        with suppress(ConnectionError):
            while not receiver.stop.is_set():
                await response.write(b".")
                with suppress(TimeoutError):
                    await asyncio.wait_for(receiver.stop.wait(), 0.01)
        return response

    receiver.answer = drip
    async with asyncio.timeout(3):
        result = await attempt(receiver.url, timeout=0.15)
    assert result.status == 200  # what was answered stands


async def test_dripping_headers_are_bounded_by_the_timeout_of_the_attempt() -> None:
    async def drip(
        _: asyncio.StreamReader, writer: asyncio.StreamWriter, stop: asyncio.Event
    ) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
        while not stop.is_set():
            writer.write(b".")
            await writer.drain()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.01)

    async with raw_server(drip) as url, asyncio.timeout(3):
        result = await attempt(url, timeout=0.15)
    assert result.error == "timeout"
    assert result.detail == "no answer within 0.15 seconds"


async def test_an_early_answer_to_a_large_webhook_does_not_hang() -> None:
    async def answer_unread(
        _: asyncio.StreamReader, writer: asyncio.StreamWriter, stop: asyncio.Event
    ) -> None:
        writer.write(b"HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        await stop.wait()

    async with raw_server(answer_unread) as url, asyncio.timeout(3):
        result = await attempt(url, body=bytes(1024 * 1024), timeout=2)
    assert result.status == 413


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "connection_lost"),
        (b"HTTP/1.1 200", "connection_lost"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "bad_response"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n", "bad_response"),
    ],
    ids=["nothing", "half a line", "another protocol", "a header without end"],
)
async def test_what_is_not_an_answer_has_a_code_of_its_own(answer: bytes, code: str) -> None:
    async with raw_server(says(answer)) as url:
        result = await attempt(url)
    assert result.error == code
    assert "OpenSSH" not in result.detail


async def test_a_body_that_breaks_off_does_not_change_the_answer() -> None:
    async with raw_server(says(b"HTTP/1.1 202 OK\r\ncontent-length: 10\r\n\r\nab")) as url:
        assert (await attempt(url)).status == 202


async def test_a_closed_port_is_a_refused_connection(canary: Canary) -> None:
    canary.close()
    result = await attempt(f"http://127.0.0.1:{canary.port}/")
    assert result.error == "connection_refused"


async def test_a_receiver_without_tls_fails_an_https_url(receiver: Receiver) -> None:
    assert (await attempt(receiver.url.replace("http:", "https:"))).error == "tls"
    assert receiver.requests == []


async def test_many_slow_receivers_do_not_hold_up_another_one(receiver: Receiver) -> None:
    waiting = 0
    all_wait = asyncio.Event()

    async def hang(got: web.Request) -> web.StreamResponse:
        nonlocal waiting
        if got.path == "/slow":
            waiting += 1
            if waiting == 120:  # more than a pool of the usual size
                all_wait.set()
            await receiver.stop.wait()
        return web.Response()

    receiver.answer = hang
    async with AiohttpSender(allow_networks=LOOPBACK) as sender, asyncio.timeout(10):
        slow = request(receiver.url.replace("hook", "slow"), timeout=10)
        attempts = [asyncio.ensure_future(sender.send(slow)) for _ in range(120)]
        await all_wait.wait()
        assert (await sender.send(request(receiver.url))).status == 200
        receiver.stop.set()
        assert {result.status for result in await asyncio.gather(*attempts)} == {200}


async def test_a_closed_sender_sends_nothing(receiver: Receiver) -> None:
    sender: Sender
    async with AiohttpSender(allow_networks=LOOPBACK) as sender:
        pass
    with pytest.raises(RuntimeError, match="the sender is closed"):
        await sender.send(request(receiver.url))
    assert receiver.requests == []


def test_a_request_shows_neither_its_body_nor_its_signature() -> None:
    shown = repr(request("https://x.example/", body=b"the body"))
    assert "the body" not in shown
    assert "webhook-id" not in shown
