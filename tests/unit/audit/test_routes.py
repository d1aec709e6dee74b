"""Audit's HTTP: pages, lines, reports and problems."""

import json
from typing import Any

import pytest

from busbar.audit.routes import create_app
from busbar.kernel.ids import operation_id
from busbar.messages.http import NDJSON
from busbar.messages.resource import ApplyResource, ResourceProvisioned
from busbar.runtime.store import Store
from support.runtime import (
    SOURCE,
    fact,
)
from unit.audit.conftest import Bus
from unit.gateway.conftest import Api, Reply

ORDERS = "payments/dev/event-stream/orders"


def lines(reply: Reply) -> list[dict[str, Any]]:
    """The lines of a long answer."""
    assert reply.headers["content-type"] == NDJSON
    return [json.loads(line) for line in reply.body.splitlines()]


def items(reply: Reply) -> list[dict[str, Any]]:
    """The items of a long answer that is whole."""
    found = lines(reply)
    assert "end" in found[-1]
    return [line["item"] for line in found if "item" in line]


def end(reply: Reply) -> dict[str, Any]:
    found: dict[str, Any] = lines(reply)[-1]["end"]
    return found


@pytest.fixture
def api(store: Store, bus: Bus) -> Api:
    return Api(create_app(store, bus))


@pytest.fixture
async def filled(bus: Bus) -> Bus:
    bus.message(ApplyResource.model_validate(ApplyResource.EXAMPLES[0]), "1")
    provisioned = {**ResourceProvisioned.EXAMPLES[0], "operation": operation_id(SOURCE, "1")}
    bus.message(ResourceProvisioned.model_validate(provisioned), "2", relay="provisioner")
    for number in (3, 4, 5):
        bus.message(fact(number), str(number), relay="notifier")
    bus.head("notifier")
    bus.head("provisioner")
    await bus.consume()
    return bus


@pytest.mark.usefixtures("filled")
async def test_the_records_come_in_pages_to_their_end(api: Api) -> None:
    seen: list[str] = []
    cursor = 0
    while cursor is not None:
        page = (await api.get(f"/v1/audit/records?limit=3&after={cursor}")).json
        seen += [item["id"] for item in page["items"]]
        assert page["total"] == (None if cursor else 7)
        cursor = page["next"]
    assert seen == ["1", "2", "3", "4", "5", "head-3", "head-1"]
    assert [
        item["id"] for item in (await api.get(f"/v1/audit/records?resource={ORDERS}")).json["items"]
    ] == ["1", "2"]


@pytest.mark.usefixtures("filled")
async def test_the_report_names_what_is_missing(api: Api, bus: Bus) -> None:
    assert end(await api.get("/v1/audit/completeness"))["complete"] is True
    bus.records.pop(1)
    report = end(await api.get("/v1/audit/completeness"))
    assert report["complete"] is False
    assert [problem["kind"] for problem in report["problems"]] == ["missing_in_kafka"]


@pytest.mark.usefixtures("filled")
async def test_a_resource_or_an_operation_is_explained(api: Api) -> None:
    for about in (f"resource={ORDERS}", f"operation={operation_id(SOURCE, '1')}"):
        sentences = items(await api.get(f"/v1/audit/explain?{about}"))
        assert [sentence["offset"] for sentence in sentences] == [0, 0]
        assert sentences[1]["text"].startswith("It is provisioned")


@pytest.mark.usefixtures("filled")
async def test_the_state_at_a_time_is_returned(api: Api) -> None:
    (view,) = items(await api.get("/v1/audit/state"))
    assert (view["id"], view["status"]) == (ORDERS, "ready")
    before = "/v1/audit/state?at=2026-01-01T12:00:00Z"
    assert items(await api.get(before)) == []
    assert items(await api.get(f"{before}&by=event")) == []
    after = "/v1/audit/state?at=2026-01-01T12:00:02Z&by=event"
    assert len(items(await api.get(after))) == 1
    assert items(await api.get("/v1/audit/state?resource=other")) == []


REFUSED = {
    "/v1/audit/nothing": 404,
    "/v1/audit/records?after=-1": 400,
    "/v1/audit/records?after=" + "9" * 30: 400,
    "/v1/audit/records?limit=0": 400,
    "/v1/audit/records?limit=1_0": 400,
    "/v1/audit/records?after=1.0": 400,
    "/v1/audit/explain?resource=a/b/c/d&last=%2B1": 400,
    "/v1/audit/explain": 400,
    "/v1/audit/explain?resource=a&operation=b": 400,
    "/v1/audit/explain?resource=unknown": 404,
    "/v1/audit/state?at=yesterday": 400,
    "/v1/audit/state?at=2026-01-01": 400,
    "/v1/audit/state?at=2026-01-01T12:00:00": 400,
    "/v1/audit/state?at=0001-01-01T00:00:00%2B23:59": 400,
    "/v1/audit/state?by=heart": 400,
}


async def test_whatever_is_refused_is_refused_with_a_problem(api: Api) -> None:
    for target, status in REFUSED.items():
        reply = await api.get(target)
        assert (reply.status, bool(reply.problem())) == (status, True), target
    reply = await api.request("DELETE", "/v1/audit/records")
    assert (reply.status, reply.headers["allow"]) == (405, "GET")
    assert reply.problem()


async def test_an_internal_failure_discloses_nothing(
    api: Api, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("swordfish")

    monkeypatch.setattr(store, "events", fail)
    reply = await api.get("/v1/audit/records")
    assert (reply.status, reply.problem()["code"]) == (500, "internal")
    assert b"swordfish" not in reply.body
