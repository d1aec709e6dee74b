"""The HTTP server of every service: liveness, readiness, and its inner application."""

import json
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest

from busbar.kernel.errors import ConfigurationError
from busbar.runtime.http.server import (
    HealthApp,
    HttpServer,
    Receive,
    Scope,
    Send,
    listen,
    respond,
    url_of,
)
from support import eventually


async def asked(app: HealthApp, path: str, *, method: str = "GET") -> tuple[int, str, Any]:
    """Return the status, media type and JSON of the response."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    await app({"type": "http", "path": path, "method": method}, receive, send)
    start, body = sent
    headers = dict(start["headers"])
    assert headers[b"content-length"] == str(len(body["body"])).encode()
    return start["status"], headers[b"content-type"].decode(), json.loads(body["body"])


def health(problems: Mapping[str, str], inner: Any = None) -> HealthApp:
    async def checks() -> Mapping[str, str]:
        return problems

    return HealthApp("policy", checks, inner)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_another_method_than_get_is_refused(path: str, method: str) -> None:
    status, kind, body = await asked(health({}), path, method=method)
    assert (status, kind) == (405, "application/problem+json")
    assert body["status"] == 405


async def test_a_service_with_problems_is_still_alive() -> None:
    status, _, body = await asked(health({"kafka": "it is unreachable"}), "/healthz")
    assert (status, body) == (200, {"service": "policy", "alive": True})


async def test_a_service_is_ready_while_nothing_keeps_it_from_working() -> None:
    status, kind, body = await asked(health({}), "/readyz")
    assert (status, kind) == (200, "application/json")
    assert body == {"service": "policy", "ready": True, "problems": {}}


async def test_a_service_that_is_not_ready_says_why() -> None:
    status, _, body = await asked(health({"kafka": "it is unreachable"}), "/readyz")
    assert status == 503
    assert body["problems"] == {"kafka": "it is unreachable"}
    assert not body["ready"]


async def test_an_unknown_path_is_a_problem_document() -> None:
    status, kind, body = await asked(health({}), "/other")
    assert (status, kind) == (404, "application/problem+json")
    assert body["status"] == 404


async def test_everything_else_is_handed_on() -> None:
    async def inner(scope: Scope, _receive: Receive, send: Send) -> None:
        await respond(send, 200, {"path": scope["path"]})

    app = health({}, inner)
    assert (await asked(app, "/other"))[2] == {"path": "/other"}
    assert (await asked(app, "/healthz"))[2]["alive"]


async def test_metrics_are_served_as_text_where_they_are_wanted() -> None:
    async def expose() -> bytes:
        return b"busbar_store_up 1\n"

    server = HttpServer(
        HealthApp("policy", health({})._checks, None, expose=expose), listen("127.0.0.1", 0)
    )
    server.start()
    url = f"http://127.0.0.1:{server.port}/metrics"

    async def scraped() -> tuple[str, str]:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.headers["content-type"], await response.text()

    kind, text = await eventually(scraped)
    await server.stop()
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    assert text == "busbar_store_up 1\n"


async def test_metrics_are_only_read() -> None:
    async def expose() -> bytes:
        return b""

    app = HealthApp("policy", health({})._checks, None, expose=expose)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    await app({"type": "http", "path": "/metrics", "method": "POST"}, receive, send)
    assert sent[0]["status"] == 405
    assert (b"allow", b"GET, HEAD") in sent[0]["headers"]


async def test_without_metrics_there_is_no_such_path() -> None:
    assert (await asked(health({}), "/metrics"))[0] == 404


def test_a_port_in_use_is_reported() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"Cannot listen on 127\.0\.0\.1:{port}"):
            listen("127.0.0.1", port)


def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Cannot listen on 192"):
        listen("192.0.2.1", 0)


async def test_it_serves_over_a_real_socket_and_stops() -> None:
    server = HttpServer(health({}), listen("127.0.0.1", 0))
    server.start()
    url = f"http://127.0.0.1:{server.port}/readyz"

    async def ready() -> bool:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status == 200

    await eventually(ready)
    port = server.port
    await server.stop()
    with listen("127.0.0.1", port) as again:
        assert again.getsockname()[1] == port


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:80"), ("::1", "http://[::1]:80"), ("a.b", "http://a.b:80")],
)
def test_an_address_can_be_asked_at_its_url(host: str, url: str) -> None:
    assert url_of(host, 80) == url
