"""Policy shows the promises that it has loaded, and why others are not offered."""

import json
from dataclasses import replace
from typing import Any

import pytest

from busbar.backends.declaration import InstalledDeclarations
from busbar.policy.domain import Promises
from busbar.policy.routes import CatalogueApp


async def get(
    app: CatalogueApp, target: str, *, method: str = "GET", header: tuple[str, str] | None = None
) -> tuple[int, Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(header[0].encode(), header[1].encode())] if header else [],
    }
    await app(scope, receive, send)
    body = json.loads(sent[1]["body"])
    if sent[0]["status"] >= 400:
        headers = dict(sent[0]["headers"])
        assert headers[b"content-type"] == b"application/problem+json"
        assert (headers.get(b"allow") == b"GET, HEAD") == (sent[0]["status"] == 405)
        assert body["status"] == sent[0]["status"]
        assert body["type"] == f"urn:busbar:problem:{body['code']}"
    return sent[0]["status"], body


async def test_a_promise_is_shown_with_its_schema_steps_and_examples(catalogue: Promises) -> None:
    app = CatalogueApp(catalogue, InstalledDeclarations())

    status, shown = await get(app, "/v1/promises/event-stream")

    assert status == 200
    assert (shown["id"], shown["title"], shown["problem"]) == ("event-stream", "Event stream", "")
    (version,) = shown["versions"]
    assert version["spec"]["properties"]["partitions"]["default"] == 3
    assert [step["name"] for step in version["steps"]] == ["topic", "dead-letters"]
    assert version["steps"][0]["holds_data"] is True
    assert version["steps"][0]["losses"]["retention_hours"] == "lowered"
    assert version["examples"][0]["spec"] == {}


async def test_a_broken_promise_is_listed_with_its_problem(catalogue: Promises) -> None:
    broken = replace(catalogue, broken={"x": "the file x.yaml is broken"})
    app = CatalogueApp(broken, InstalledDeclarations())

    _, shown = await get(app, "/v1/promises")
    problems = {one["name"]: one["problem"] for one in shown["items"]}
    assert problems == {
        "event-stream": "",
        "postgres-database": "",
        "x": "the file x.yaml is broken",
    }

    assert (await get(app, "/v1/promises/nothing"))[0] == 404
    assert (await get(app, "/"))[0] == 404


@pytest.mark.parametrize("path", ["/v1/promises", "/v1/promises/event-stream"])
async def test_a_request_is_refused_if_a_part_of_it_would_be_ignored(
    catalogue: Promises, path: str
) -> None:
    app = CatalogueApp(catalogue, InstalledDeclarations())
    for method in ("POST", "DELETE", "PUT", "PATCH", "OPTIONS"):
        status, problem = await get(app, path, method=method)
        assert (status, problem["code"]) == (405, "method_not_allowed")
    for query in ("x=1", "limit=1", "x"):
        status, problem = await get(app, f"{path}?{query}")
        assert (status, problem["code"]) == (400, "unknown_parameter")
    for header, expected in {
        ("content-length", "2"): (400, "unexpected_body"),
        ("x-http-method-override", "DELETE"): (400, "unsupported_header"),
        ("accept", "text/html"): (406, "not_acceptable"),
    }.items():
        status, problem = await get(app, path, header=header)
        assert (status, problem["code"]) == expected
    assert (await get(app, path, header=("accept", "*/*")))[0] == 200
    assert (await get(app, path, method="HEAD"))[0] == 200
