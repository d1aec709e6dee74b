"""A request is refused if a part of it would be ignored."""

import gzip
import json

import pytest

from busbar.runtime.store import Store
from unit.gateway.conftest import STRUCTURED, Api, event

GET = "/v1/operations"
Pairs = list[tuple[str, str]]

REFUSED: dict[str, tuple[Pairs, int, str]] = {
    "gzip": ([("content-encoding", "gzip")], 415, "unsupported_coding"),
    "br, in capitals": ([("Content-Encoding", "BR")], 415, "unsupported_coding"),
    "two codings": ([("content-encoding", "identity, deflate")], 415, "unsupported_coding"),
    "a coding in a second header": (
        [("content-encoding", "identity"), ("content-encoding", "gzip")],
        415,
        "unsupported_coding",
    ),
    "an unknown coding": ([("content-encoding", "x-ours")], 415, "unsupported_coding"),
    "a transfer coding": ([("transfer-encoding", "gzip, chunked")], 501, "unsupported_coding"),
    "an expectation": ([("expect", "200-ok")], 417, "unsupported_expectation"),
    "a precondition": ([("if-match", '"3"')], 400, "unsupported_header"),
    "a precondition by time": (
        [("if-unmodified-since", "Sat, 31 Jan 2026 12:00:00 GMT")],
        400,
        "unsupported_header",
    ),
    "another method": ([("x-http-method-override", "DELETE")], 400, "unsupported_header"),
    "an idempotency key": ([("idempotency-key", "1")], 400, "unsupported_header"),
    "html only": ([("accept", "text/html")], 406, "not_acceptable"),
    "json refused": ([("accept", "application/json;q=0, text/plain")], 406, "not_acceptable"),
    "a coding demanded": ([("accept-encoding", "gzip, identity;q=0")], 406, "not_acceptable"),
    "no coding at all": ([("accept-encoding", "gzip, *;q=0")], 406, "not_acceptable"),
    "two traces": ([("traceparent", "a"), ("traceparent", "b")], 400, "duplicate_header"),
    "two tokens": ([("authorization", "Bearer other")], 400, "duplicate_header"),
}
ACCEPTED: list[Pairs] = [
    [("content-encoding", "identity")],
    [("content-encoding", "Identity , identity")],
    [("content-encoding", "")],
    [("expect", "100-Continue")],
    [("accept", "*/*")],
    [("accept", "text/html, application/xhtml+xml;q=0.9, */*;q=0.8")],
    [("accept", "application/*;q=0.1")],
    [("accept", "application/problem+json"), ("accept", "text/html")],
    [("accept-encoding", "gzip, deflate, br")],
    [("accept-encoding", "identity, *;q=0")],
    [("accept-language", "de"), ("range", "bytes=0-1"), ("if-none-match", "*")],
]


@pytest.mark.parametrize("name", REFUSED)
async def test_a_request_is_refused_if_a_header_would_be_ignored(
    name: str, api: Api, store: Store
) -> None:
    headers, status, code = REFUSED[name]
    posted = [*STRUCTURED.items(), *headers]
    for reply in (
        await api.request("GET", GET, headers=headers),
        await api.request("POST", "/v1/events", headers=posted, body=json.dumps(event()).encode()),
    ):
        # A second token may already fail as one that is wrong.
        assert reply.status in ({status, 401} if name == "two tokens" else {status})
        assert reply.problem()["code"] in (code, "unauthenticated")
        if status == 415:
            assert reply.headers["accept-encoding"] == "identity"
    assert await store.last_position() == 0


@pytest.mark.parametrize("headers", ACCEPTED)
async def test_a_request_is_answered_if_its_headers_are_met(headers: Pairs, api: Api) -> None:
    posted = [*STRUCTURED.items(), *headers]
    body = json.dumps(event()).encode()
    assert (await api.request("GET", GET, headers=headers)).status == 200
    assert (await api.request("POST", "/v1/events", headers=posted, body=body)).status == 202


async def test_a_compressed_event_is_refused_before_it_is_read(api: Api) -> None:
    body = gzip.compress(json.dumps(event()).encode())
    headers = {**STRUCTURED, "content-encoding": "gzip"}
    reply = await api.request("POST", "/v1/events", headers=headers, body=[body, body])
    assert (reply.status, reply.headers["accept-encoding"]) == (415, "identity")


@pytest.mark.parametrize("headers", [[("content-length", "2")], [("transfer-encoding", "chunked")]])
async def test_a_body_where_none_is_read_is_refused(headers: Pairs, api: Api) -> None:
    reply = await api.request("GET", GET, headers=headers, body=b"{}")
    assert (reply.status, reply.problem()["code"]) == (400, "unexpected_body")
    assert (await api.request("GET", GET, headers=[("content-length", "0")])).status == 200


@pytest.mark.parametrize(
    ("target", "code", "says"),
    [
        ("/v1/operations?limt=1", "unknown_parameter", "did you mean 'limit'?"),
        ("/v1/operations?Limit=1", "unknown_parameter", "known are: resource, status, after"),
        ("/v1/operations/x?limit=1", "unknown_parameter", "known are: wait"),
        ("/v1/openapi.json?x", "unknown_parameter", "known are: none"),
        ("/v1/facts?=1", "unknown_parameter", "known are"),
        ("/v1/audit/records?opertion=x", "unknown_parameter", "did you mean 'operation'?"),
        ("/v1/operations?limit=1&limit=2", "duplicate_parameter", "send it once"),
        ("/v1/facts?type=busbar.*&team=a&team=b", "duplicate_parameter", "send it once"),
        ("/v1/operations?limit=1&lim%69t=2", "duplicate_parameter", "send it once"),
        ("/v1/operations?resource=%zz", "bad_query", "encode"),
        ("/v1/operations?resource=%ff", "bad_query", "encode"),
    ],
)
async def test_a_query_is_refused_if_a_part_of_it_would_be_ignored(
    target: str, code: str, says: str, api: Api
) -> None:
    problem = (await api.get(target)).problem()
    assert (problem["status"], problem["code"]) == (400, code)
    assert says in problem["fix"]


async def test_an_event_takes_no_query(api: Api) -> None:
    body = json.dumps(event()).encode()
    reply = await api.request("POST", "/v1/events?dry_run=true", headers=STRUCTURED, body=body)
    assert (reply.status, reply.problem()["code"]) == (400, "unknown_parameter")


async def test_a_percent_encoded_parameter_is_read(api: Api) -> None:
    assert (await api.get("/v1/operations?lim%69t=1&resource=a%2Fb%2Fc%2Fd&")).status == 200


async def test_without_a_token_nothing_but_that_is_said(api: Api) -> None:
    reply = await api.request("GET", "/v1/operations?limt=1", token=None)
    assert reply.status == 401


async def test_head_is_answered_like_get(api: Api) -> None:
    head = await api.request("HEAD", GET)
    get = await api.request("GET", GET)
    assert (head.status, head.headers) == (get.status, get.headers)
    assert (await api.request("HEAD", "/v1/operations/unknown")).status == 404
    assert (await api.request("HEAD", "/v1/events")).status == 405


async def test_every_operation_has_answers_that_are_described(api: Api) -> None:
    await api.post(event())
    targets = {
        "/v1/operations": 200,
        "/v1/operations/unknown": 404,
        "/v1/resources": 200,
        "/v1/resources/a/b/c/d": 404,
        "/v1/facts": 200,
        "/v1/dead-letters": 200,
        "/v1/dead-letters/unknown": 404,
        "/v1/audit/records": 200,
        "/v1/openapi.json": 200,
    }
    for target, status in targets.items():
        assert (await api.get(target)).status == status, target
        assert (await api.get(target, headers=[("accept", "text/html")])).status == 406
        assert (await api.request("PATCH", target)).status == 405
    assert api.described is not None
    operations = {operation for operation, _ in api.described.seen}
    assert len(operations) == len(targets) + 1
