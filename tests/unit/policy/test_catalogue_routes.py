"""Policy shows the promises that it has loaded, and why others are not offered."""

import json
from dataclasses import replace
from typing import Any

from busbar.backends.declaration import InstalledDeclarations
from busbar.policy.domain import Promises
from busbar.policy.routes import CatalogueApp


async def get(app: CatalogueApp, path: str) -> tuple[int, Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    await app({"type": "http", "method": "GET", "path": path}, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


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
