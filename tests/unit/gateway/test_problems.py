"""Every error is a problem: those of the framework, of audit, and unexpected ones."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from busbar.gateway.adapters import (
    AuditResponse,
    AuditUnavailable,
    HttpAuditReader,
    HttpPolicyReader,
)
from busbar.messages.http import NDJSON
from busbar.runtime.http.server import HttpServer, listen, respond
from busbar.runtime.store import Store, StoreUnavailable
from busbar.runtime.store.model.errors import StoreFull
from unit.gateway.conftest import PROBLEM, Api, FakeAudit, Reply, event

REFUSED = {
    ("GET", "/"): (404, "not_found"),
    ("GET", "/v1/nothing"): (404, "not_found"),
    ("GET", "/v1/events/"): (404, "not_found"),
    ("POST", "/v1/events/"): (404, "not_found"),
    ("GET", "/docs"): (404, "not_found"),
    ("GET", "/openapi.json"): (404, "not_found"),
    ("GET", "/v1/operations/unknown"): (404, "not_found"),
    ("GET", "/v1/operations/unknown?wait=20"): (404, "not_found"),
    ("GET", "/v1/resources/a/b/c/d"): (404, "not_found"),
    ("GET", "/v1/dead-letters/unknown"): (404, "not_found"),
    ("GET", "/v1/events"): (405, "method_not_allowed"),
    ("DELETE", "/v1/operations"): (405, "method_not_allowed"),
    ("PUT", "/v1/events"): (405, "method_not_allowed"),
    ("GET", "/v1/operations?limit=0"): (400, "bad_request"),
    ("GET", "/v1/operations?limit=1001"): (400, "bad_request"),
    ("GET", "/v1/operations?limit=many"): (400, "bad_request"),
    **{
        ("GET", f"/v1/operations?limit={number}"): (400, "bad_request")
        for number in ("1_0", "%2B1", "+1", "1.0", "01", "%201", "1e2", "%D9%A3", "0x1", "", "--1")
    },
    **{
        ("GET", f"/v1/operations/x?wait={number}"): (400, "bad_request")
        for number in ("1_0", "%2B1", ".5", "1.", "inf", "%201", "01", "-0.5")
    },
    ("GET", "/v1/audit/records?limit=1_0"): (400, "bad_request"),
    ("GET", "/v1/audit/explain?resource=a/b/c/d&last=1_0"): (400, "bad_request"),
    ("GET", "/v1/operations?status=sleeping"): (400, "bad_request"),
    ("GET", "/v1/operations/x?wait=31"): (400, "bad_request"),
    ("GET", "/v1/operations/x?wait=nan"): (400, "bad_request"),
    ("GET", "/v1/resources/A/b/c/d"): (400, "bad_request"),
    ("GET", "/v1/resources/a/b/c/-d"): (400, "bad_request"),
    ("GET", "/v1/facts?after=yesterday"): (400, "bad_cursor"),
    ("GET", "/v1/facts?after=-1"): (400, "bad_cursor"),
    ("GET", "/v1/facts?after=%D9%A3"): (400, "bad_cursor"),
    ("GET", "/v1/facts?after=" + "9" * 19): (400, "bad_cursor"),
    ("GET", "/v1/facts?after=" + "9" * 5000): (400, "bad_cursor"),
}


async def test_whatever_is_refused_is_refused_with_a_problem(api: Api) -> None:
    for (method, target), expected in REFUSED.items():
        reply = await api.request(method, target)
        assert (reply.status, reply.problem()["code"]) == expected, target[:60]
        assert reply.raised is None


async def test_numbers_are_taken_as_json_writes_them(api: Api) -> None:
    for target in ("/v1/operations?limit=1000", "/v1/facts?wait=0.01", "/v1/facts?wait=1e-2"):
        assert (await api.get(target)).status == 200, target


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/docs", "/v1/resorces"])
async def test_a_path_that_does_not_exist_points_to_the_description(api: Api, path: str) -> None:
    problem = (await api.request("GET", path, token=None)).problem()
    assert problem["detail"] == f"there is no {path}"
    assert "GET /v1/openapi.json" in problem["fix"]
    assert "docs/how-to/use-http.md" in problem["fix"]


async def test_a_method_that_is_not_possible_is_answered_with_those_that_are(api: Api) -> None:
    reply = await api.request("DELETE", "/v1/events")
    assert reply.headers["allow"] == "POST"


async def test_a_bad_parameter_is_named(api: Api) -> None:
    problem = (await api.get("/v1/operations?limit=0&status=sleeping")).problem()
    assert "/query/limit" in problem["detail"]
    assert "/query/status" in problem["detail"]
    problem = (await api.get("/v1/operations?limit=1_0")).problem()
    assert problem["detail"].startswith("/query/limit is not valid: a whole number is written in")


async def answers_while_the_store_raises(
    error: Exception, api: Api, store: Store, monkeypatch: pytest.MonkeyPatch
) -> list[Reply]:
    """Return the answers to a list, an event and facts, with a store that raises ``error``."""

    def fail(*_: object, **__: object) -> None:
        raise error

    requests: dict[str, Callable[[], Awaitable[Reply]]] = {
        "reading": lambda: api.get("/v1/operations"),
        "transact": lambda: api.post(event()),
        "events": lambda: api.get("/v1/facts"),
    }
    replies = []
    for name, request in requests.items():
        with monkeypatch.context() as patch:
            patch.setattr(store, name, fail)
            replies.append(await request())
    return replies


async def test_an_internal_failure_discloses_nothing(
    api: Api, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = RuntimeError("the password is swordfish")
    for reply in await answers_while_the_store_raises(error, api, store, monkeypatch):
        assert (reply.status, reply.problem()["code"]) == (500, "internal")
        assert "swordfish" not in reply.body.decode()
        assert isinstance(reply.raised, Exception)  # for the server's log


async def test_while_the_database_is_unreachable_every_request_says_so(
    api: Api, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = StoreUnavailable("the database is unreachable since 06:12:03 UTC (no answer)")
    for reply in await answers_while_the_store_raises(error, api, store, monkeypatch):
        problem = reply.problem()
        assert (reply.status, problem["code"]) == (503, "unavailable")
        assert problem["detail"].startswith("the database is unreachable since 06:12:03 UTC")
        assert reply.headers["retry-after"] == "2"
        assert reply.raised is None


async def test_while_the_disk_of_the_database_is_full_a_request_gets_507(
    api: Api, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreFull("the database file is unavailable (database or disk is full)")

    monkeypatch.setattr(store, "transact", fail)
    reply = await api.post(event())
    problem = reply.problem()
    assert (reply.status, problem["code"]) == (507, "storage_full")
    assert "disk is full" in problem["detail"]
    assert problem["fix"].startswith("free space")
    assert reply.headers["retry-after"] == "2"


# -- audit ----------------------------------------------------------------------------------------


NOT_FOUND = {
    "type": "urn:busbar:problem:not_found",
    "title": "Not Found",
    "status": 404,
    "detail": "the log has nothing about x",
    "code": "not_found",
    "fix": "check the name",
}


EVERYTHING = {"teams": "*", "platform": "true", "reader": "admin"}
"""The scope of the administrator, as audit gets it."""


async def test_what_audit_answers_is_passed_on(api: Api, audit: FakeAudit) -> None:
    audit.answer = AuditResponse(200, "application/json", b'{"items":[],"next":"7"}')
    reply = await api.get("/v1/audit/records?after=3&resource=a/b/c/d")
    assert (reply.status, reply.json) == (200, {"items": [], "next": "7"})
    assert audit.asked == [
        ("/v1/audit/records", {"after": "3", "resource": "a/b/c/d", **EVERYTHING})
    ]


async def test_a_problem_of_audit_is_passed_on_and_anything_else_becomes_one(
    api: Api, audit: FakeAudit
) -> None:
    audit.answer = AuditResponse(404, PROBLEM, json.dumps(NOT_FOUND).encode())
    reply = await api.get("/v1/audit/explain?operation=x")
    assert (reply.status, reply.headers["content-type"]) == (404, PROBLEM)
    assert reply.json == NOT_FOUND
    audit.answer = AuditResponse(500, "text/plain", b"Traceback: swordfish")
    reply = await api.get("/v1/audit/records")
    assert (reply.status, reply.problem()["code"]) == (502, "audit_failed")
    assert b"swordfish" not in reply.body


async def test_what_comes_line_by_line_is_passed_on_as_it_comes_and_ends_with_what_went_wrong(
    api: Api, audit: FakeAudit
) -> None:
    async def lines(*, fails: bool) -> AsyncIterator[bytes]:
        yield b'{"progress":null}\n'
        if fails:
            raise AuditUnavailable("ServerDisconnectedError")
        yield b'{"end":{}}\n'

    audit.answer = AuditResponse(200, NDJSON, b"", lines(fails=False))
    reply = await api.get("/v1/audit/state")
    assert (reply.status, reply.headers["content-type"]) == (200, NDJSON)
    assert reply.body == b'{"progress":null}\n{"end":{}}\n'
    audit.answer = AuditResponse(200, NDJSON, b"", lines(fails=False))
    reply = await api.get("/v1/audit/state", headers=[("accept", "text/plain")])
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.body == b'{"progress":null}\n{"end":{}}\n'
    reply = await api.get("/v1/audit/state", headers=[("accept", "application/json")])
    assert (reply.status, reply.problem()["code"]) == (406, "not_acceptable")
    audit.answer = AuditResponse(200, NDJSON, b"", lines(fails=True))
    first, second = (await api.get("/v1/audit/state")).body.splitlines()
    assert first == b'{"progress":null}'
    problem = json.loads(second)["problem"]
    assert (problem["status"], problem["code"]) == (503, "audit_unavailable")


async def test_a_client_that_leaves_before_the_first_line_ends_the_request_to_audit(
    api: Api, audit: FakeAudit
) -> None:
    async def lines() -> AsyncIterator[bytes]:
        yield b'{"progress":null}\n'

    closed: list[str] = []
    audit.answer = AuditResponse(200, NDJSON, b"", lines(), lambda: closed.append("audit"))
    await api.get("/v1/audit/state", leaves=True)
    assert closed == ["audit"]


async def test_the_client_passes_on_whole_lines_until_audit_breaks_off() -> None:
    async def begin(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-type", NDJSON.encode()), (b"content-length", b"100")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for body in (b'{"item":1}\n{"it', b'em":2}\n', b'{"item"'):
            await send({"type": "http.response.body", "body": body, "more_body": True})
        raise ConnectionError

    server = HttpServer(begin, listen("127.0.0.1", 0))
    server.start()
    client = HttpAuditReader(f"http://127.0.0.1:{server.port}")
    taken = bytearray()

    async def take(lines: AsyncIterator[bytes] | None) -> None:
        assert lines is not None
        async for part in lines:
            taken.extend(part)

    try:
        answer = await client.get("/v1/audit/state", {})
        with pytest.raises(AuditUnavailable):
            await take(answer.lines)
    finally:
        await client.close()
        await server.stop()
    assert taken == b'{"item":1}\n{"item":2}\n'


async def test_while_audit_is_unreachable_the_rest_works(api: Api, audit: FakeAudit) -> None:
    audit.answer = None
    reply = await api.get("/v1/audit/completeness")
    assert (reply.status, reply.problem()["code"]) == (503, "audit_unavailable")
    assert reply.headers["retry-after"] == "1"
    assert (await api.get("/v1/operations")).status == 200


async def test_the_client_says_when_audit_cannot_be_reached() -> None:
    with pytest.raises(AuditUnavailable, match="BUSBAR_AUDIT_URL"):
        await HttpAuditReader(None).get("/v1/audit/records", {})
    with listen("127.0.0.1", 0) as closed:
        port = closed.getsockname()[1]
    client = HttpAuditReader(f"http://127.0.0.1:{port}")
    with pytest.raises(AuditUnavailable):
        await client.get("/v1/audit/records", {})
    await client.close()


@pytest.mark.parametrize("reader", [HttpAuditReader, HttpPolicyReader])
async def test_a_service_that_hangs_is_not_waited_for(reader: type[HttpAuditReader]) -> None:
    with listen("127.0.0.1", 0) as hanging:  # the kernel accepts connections; no answer comes
        client = reader(f"http://127.0.0.1:{hanging.getsockname()[1]}", silence=0.1)
        try:
            async with asyncio.timeout(5):
                with pytest.raises(AuditUnavailable, match=r"silent for 0\.1 seconds"):
                    await client.get("/v1/promises", {})
        finally:
            await client.close()
    assert HttpPolicyReader.silence <= 5 < HttpAuditReader.silence <= 20


async def test_the_client_asks_for_the_path_and_nothing_but_the_path() -> None:
    asked: list[tuple[str, bytes]] = []

    async def remember(scope: Any, _receive: Any, send: Any) -> None:
        asked.append((scope["path"], scope["query_string"]))
        await respond(send, 404, {"code": "x"}, media_type=PROBLEM)

    server = HttpServer(remember, listen("127.0.0.1", 0))
    server.start()
    client = HttpAuditReader(f"http://127.0.0.1:{server.port}")
    try:
        answer = await client.get("/v1/audit/a?b#c d", {"q": "1&2"})
    finally:
        await client.close()
        await server.stop()
    assert answer == AuditResponse(404, PROBLEM, b'{"code": "x"}')
    assert asked == [("/v1/audit/a?b#c d", b"q=1%262")]
