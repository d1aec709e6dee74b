"""The sender against a real server, and the guard against a canary that must see no connect.

The canary listens where an attack aims. On loopback a connect is in the listener's queue before
the attempt ends, so an empty queue afterwards proves that nobody dialled.
"""

import asyncio
import gzip
import socket
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from ipaddress import IPv4Address, ip_address

import pytest
from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import example, given
from hypothesis import strategies as st

from busbar.kernel.errors import ConfigurationError
from busbar.notifier.domain import REFUSED_NETWORKS, Network, is_refused, parse_networks
from busbar.notifier.ports import Attempt, Sender, WebhookRequest
from busbar.notifier.sender import MAX_RESPONSE_BYTES, AiohttpSender, url_problem

LOOPBACK = parse_networks(["127.0.0.0/8"])
ONLY_OURS = parse_networks(["127.0.0.1/32"])
"""The receiver is at 127.0.0.1; everything else of loopback stays refused."""

pytestmark = pytest.mark.timeout(20)


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
    """Gives each lookup the next of the answers, and the last one for ever; or fails."""

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


async def test_a_failure_is_told_with_its_retry_after_and_without_its_words(
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


async def test_the_canary_sees_a_dial_that_is_allowed(canary: Canary) -> None:
    result = await attempt(f"http://127.0.0.1:{canary.port}/", timeout=0.1)
    assert result.error == "timeout"
    assert canary.connects() == 1


LITERALS = [
    ("127.0.0.1", "refused_address"),
    ("[::ffff:127.0.0.1]", "refused_address"),
    ("[::ffff:7f00:1]", "refused_address"),
    ("[::127.0.0.1]", "refused_address"),
    ("[::1]", "refused_address"),
    ("[::]", "refused_address"),
    ("[fe80::1%25lo]", "refused_address"),
    ("[64:ff9b::7f00:1]", "refused_address"),
    ("0.0.0.0", "refused_address"),  # noqa: S104 - a target, no bind
    ("①②⑦.0.0.1", "refused_address"),
    ("127。0。0。1", "refused_address"),
    ("2130706433", "refused_url"),
    ("0x7f.1", "refused_url"),
    ("0x7f000001", "refused_url"),
    ("0177.0.0.1", "refused_url"),
    ("127.1", "refused_url"),
    ("127.0.0.1.", "refused_url"),
]


@pytest.mark.parametrize(("host", "code"), LITERALS)
async def test_no_spelling_of_loopback_is_dialled(canary: Canary, host: str, code: str) -> None:
    url = f"http://{host}:{canary.port}/"
    result = await attempt(url, allow=())
    assert result.error == code
    assert url_problem(url) is not None
    assert canary.connects() == 0


@pytest.mark.parametrize("host", ["localhost", "localhost.", "LOCALHOST", "a.localhost"])
async def test_localhost_is_refused_by_its_name(canary: Canary, host: str) -> None:
    url = f"http://{host}:{canary.port}/"
    assert url_problem(url) is not None
    assert url_problem(url, LOOPBACK) is None
    assert (await attempt(url, allow=(), resolver=FakeResolver(("127.0.0.1",)))).error
    assert canary.connects() == 0


@pytest.mark.parametrize(
    "answers",
    [
        ("127.0.0.2",),
        ("127.0.0.1", "127.0.0.2"),
        ("127.0.0.2", "127.0.0.1"),
        ("127.0.0.1", "::ffff:127.0.0.2"),
        ("127.0.0.1", "::1"),
        ("127.0.0.1", "not an address"),
        ("127.0.0.1", "fe80::1%lo"),
    ],
)
async def test_a_name_with_one_refused_address_is_refused_as_a_whole(
    receiver: Receiver, neighbour: Canary, answers: tuple[str, ...]
) -> None:
    for port in (receiver.port, neighbour.port):
        result = await attempt(
            f"http://mixed.example:{port}/", allow=ONLY_OURS, resolver=FakeResolver(answers)
        )
        assert result.error == "refused_address"
    assert receiver.requests == []
    assert neighbour.connects() == 0


async def test_a_name_that_moves_between_two_attempts_is_refused_at_the_second(
    receiver: Receiver, neighbour: Canary
) -> None:
    receiver.answers(200, Connection="close")
    resolver = FakeResolver(("127.0.0.1",), ("127.0.0.2",))
    async with AiohttpSender(allow_networks=ONLY_OURS, resolver=resolver) as sender:
        first = await sender.send(request(f"http://rebinding.example:{receiver.port}/"))
        second = await sender.send(request(f"http://rebinding.example:{receiver.port}/"))
        third = await sender.send(request(f"http://rebinding.example:{neighbour.port}/"))
    assert first.status == 200
    assert (second.error, third.error) == ("refused_address", "refused_address")
    assert resolver.lookups == 3
    assert len(receiver.requests) == 1
    assert neighbour.connects() == 0


@pytest.mark.parametrize("address", ["127.0.0.2", "::ffff:127.0.0.2"])
async def test_the_dial_is_guarded_even_if_the_resolver_lets_an_address_through(
    neighbour: Canary, address: str
) -> None:
    sender = AiohttpSender(allow_networks=ONLY_OURS)
    connector = TCPConnector(
        resolver=FakeResolver((address,)), socket_factory=sender._socket, use_dns_cache=False
    )
    async with ClientSession(connector=connector, cookie_jar=DummyCookieJar()) as session:
        with pytest.raises(OSError, match="webhooks may not reach"):
            await session.post(f"http://x.example:{neighbour.port}/")
    assert neighbour.connects() == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_is_not_followed(
    receiver: Receiver, canary: Canary, status: int
) -> None:
    receiver.answers(status, Location=f"http://127.0.0.1:{canary.port}/")
    assert (await attempt(receiver.url)).status == status
    receiver.answers(status, Location="/elsewhere")
    assert (await attempt(receiver.url)).status == status
    assert [got.path for got, _ in receiver.requests] == ["/hook", "/hook"]
    assert canary.connects() == 0


async def test_a_proxy_of_the_environment_is_not_used(
    receiver: Receiver, canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")
    assert (await attempt(receiver.url)).status == 204
    assert canary.connects() == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://user@127.0.0.1:{port}/",
        "http://user:password@127.0.0.1:{port}/",
        "http://:password@127.0.0.1:{port}/",
        "http://8.8.8.8@127.0.0.1:{port}/",
        "http://8.8.8.8\\@127.0.0.1:{port}/",
        "ftp://127.0.0.1:{port}/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:{port}/",
        "ws://127.0.0.1:{port}/",
        "//127.0.0.1:{port}/",
        "127.0.0.1:{port}/",
        "http:///hook",
        "http://:{port}/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:65536/",
        "http://127.0.0.1:-1/",
        "http://[127.0.0.1:{port}/",
        "http://127.0.0.1%20:{port}/",
        "http://127.0.0.1\x00:{port}/",
        "http://\x00:{port}/",
        "",
    ],
)
async def test_a_url_of_another_form_is_refused_before_anything_is_dialled(
    canary: Canary, url: str
) -> None:
    url = url.format(port=canary.port)
    result = await attempt(url)
    assert result.error == "refused_url"
    assert result.detail == url_problem(url, LOOPBACK)
    assert "password" not in repr(result).replace("a user name or a password", "")
    assert canary.connects() == 0


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


async def _serve_raw(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> tuple[asyncio.Server, str]:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_dripping_headers_are_bounded_by_the_timeout_of_the_attempt() -> None:
    stop = asyncio.Event()

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
        while not stop.is_set():
            writer.write(b".")
            await writer.drain()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.01)

    server, url = await _serve_raw(drip)
    async with server:
        async with asyncio.timeout(3):
            result = await attempt(url, timeout=0.15)
        stop.set()
    assert result.error == "timeout"
    assert result.detail == "no answer within 0.15 seconds"


async def test_an_early_answer_to_a_large_webhook_does_not_hang() -> None:
    stop = asyncio.Event()

    async def answer_unread(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        await stop.wait()

    server, url = await _serve_raw(answer_unread)
    async with server:
        async with asyncio.timeout(3):
            result = await attempt(url, body=bytes(1024 * 1024), timeout=2)
        stop.set()
    assert result.status == 413


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "connection_lost"),
        (b"HTTP/1.1 200", "connection_lost"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "bad_response"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n", "bad_response"),
    ],
)
async def test_what_is_no_answer_has_a_code_of_its_own(answer: bytes, code: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(answer)
        await writer.drain()

    server, url = await _serve_raw(serve)
    async with server:
        result = await attempt(url)
    assert result.error == code
    assert "OpenSSH" not in result.detail


async def test_a_body_that_breaks_off_does_not_change_the_answer() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 202 OK\r\ncontent-length: 10\r\n\r\nab")
        await writer.drain()

    server, url = await _serve_raw(serve)
    async with server:
        assert (await attempt(url)).status == 202


async def test_a_closed_port_is_a_refused_connection(canary: Canary) -> None:
    canary.close()
    result = await attempt(f"http://127.0.0.1:{canary.port}/")
    assert result.error == "connection_refused"


async def test_a_receiver_without_tls_fails_an_https_url(receiver: Receiver) -> None:
    assert (await attempt(receiver.url.replace("http:", "https:"))).error == "tls"
    assert receiver.requests == []


@pytest.mark.parametrize(
    "resolver",
    [
        FakeResolver(()),
        FakeResolver(error=socket.gaierror(socket.EAI_NONAME, "unknown")),
        FakeResolver(error=UnicodeError("label empty or too long")),
    ],
    ids=["no answer", "unknown name", "no DNS name"],
)
async def test_a_name_that_does_not_resolve_has_a_code_of_its_own(
    resolver: AbstractResolver,
) -> None:
    assert (await attempt("http://nowhere.example/", resolver=resolver)).error == "dns"


async def test_a_label_that_dns_does_not_have_is_no_crash() -> None:
    assert (await attempt(f"http://{'a' * 64}.invalid/")).error in {"dns", "refused_url"}


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


@pytest.mark.parametrize(
    "url",
    [
        "https://payments.example/hooks/busbar?x=1#f",
        "http://receiver:9000/",
        "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]:8443/",
        "https://bücher.example/",
        "https://user.example/@name",
    ],
)
def test_a_sound_url_has_no_problem(url: str) -> None:
    assert url_problem(url) is None


def test_an_allowed_network_makes_its_literals_sound() -> None:
    assert url_problem("http://127.0.0.1:9000/") is not None
    assert url_problem("http://127.0.0.1:9000/", LOOPBACK) is None
    assert url_problem("http://10.0.0.1/", LOOPBACK) is not None


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "10.1.2.3", "100.100.100.200", "127.255.255.255", "168.63.129.16"),  # noqa: S104 - a table, no bind
        *("169.254.169.254", "172.31.0.1", "192.0.0.192", "192.168.1.1", "192.88.99.1"),
        *("198.19.0.1", "224.0.0.1", "239.255.255.250", "255.255.255.255"),
        *("::", "::1", "::8.8.8.8", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b::808:808"),
        *("64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1"),
        *("5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "fe80::1%eth0"),
        *("", "example.com", "8.8.8.8 ", "0x8.8.8.8"),
    ],
)
def test_what_is_not_a_public_address_is_refused(address: str) -> None:
    assert is_refused(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "223.255.255.255", "2a00::1"]
)
def test_a_public_address_is_not_refused(address: str) -> None:
    assert not is_refused(address)


@given(value=st.integers(0, 2**32 - 1))
def test_what_python_calls_private_is_refused_and_what_we_refuse_has_an_entry(value: int) -> None:
    address = IPv4Address(value)
    if not address.is_global:
        assert is_refused(str(address))
    assert is_refused(str(address)) == any(address in network for network in REFUSED_NETWORKS)


@given(network=st.sampled_from([n for n in REFUSED_NETWORKS if n.version == 4]), data=st.data())
def test_no_spelling_of_a_refused_address_is_a_sound_url(
    network: Network, data: st.DataObject
) -> None:
    value = int(network[0]) + data.draw(st.integers(0, network.num_addresses - 1))
    octets = IPv4Address(value).packed
    for host in (
        str(IPv4Address(value)),
        str(value),
        hex(value),
        ".".join(map(hex, octets)),
        ".".join(f"0{octet:o}" for octet in octets),
        f"{octets[0]}.{value & 0xFFFFFF}",
        f"[::ffff:{IPv4Address(value)}]",
        f"[{ip_address((0x64FF9B << 96) + value)}]",
    ):
        assert url_problem(f"http://{host}/") is not None


@given(url=st.text())
@example(url="\x00")
def test_no_text_makes_the_check_of_a_url_crash(url: str) -> None:
    for text in (url, f"http://{url}", f"https://x.example{url}", f"http://[{url}]/"):
        problem = url_problem(text)
        assert problem is None or problem


@pytest.mark.parametrize("text", ["127.0.0.1/8", "localhost", ""])
def test_a_network_that_is_none_is_the_operators_to_mend(text: str) -> None:
    with pytest.raises(ConfigurationError, match="CIDR"):
        parse_networks([text])
