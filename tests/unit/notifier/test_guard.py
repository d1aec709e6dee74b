"""The guard of the sender against every way to an address that webhooks may not reach."""

import socket

import pytest
from aiohttp import ClientSession, DummyCookieJar, TCPConnector
from aiohttp.abc import AbstractResolver

from busbar.notifier.adapters.sender import AiohttpSender, url_problem
from unit.notifier.conftest import (
    LOOPBACK,
    ONLY_OURS,
    Canary,
    FakeResolver,
    Receiver,
    attempt,
    request,
)

pytestmark = pytest.mark.timeout(20)


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


async def test_a_label_that_dns_does_not_have_does_not_crash() -> None:
    assert (await attempt(f"http://{'a' * 64}.invalid/")).error in {"dns", "refused_url"}
