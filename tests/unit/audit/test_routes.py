"""Audit's HTTP: pages, lines, reports and problems."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from busbar.audit.routes import create_app
from busbar.kernel.ids import operation_id
from busbar.messages import audit_scope
from busbar.messages.delivery import DeadLettered
from busbar.messages.http import NDJSON
from busbar.messages.identity import PrincipalDeclared
from busbar.messages.notification import Subscribed
from busbar.messages.read_scope import EVERYTHING, ReadScope
from busbar.messages.resource import ApplyResource, ResourceProvisioned
from busbar.runtime.store import Store
from support.runtime import (
    SOURCE,
    cipher,
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


class Audit(Api):
    """Calls audit as the gateway does, for a principal that may read everything."""

    async def get(self, target: str, **more: Any) -> Reply:
        return await self.get_for(EVERYTHING, target, **more)

    async def get_for(self, scope: ReadScope, target: str, **more: Any) -> Reply:
        joint = "&" if "?" in target else "?"
        return await super().get(
            f"{target}{joint}{urlencode(audit_scope.write(scope, 'reader'))}", **more
        )


@pytest.fixture
def api(store: Store, bus: Bus) -> Audit:
    return Audit(create_app(store, bus, cipher()))


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
async def test_the_records_come_in_pages_to_their_end(api: Audit) -> None:
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
async def test_the_report_names_what_is_missing(api: Audit, bus: Bus) -> None:
    assert end(await api.get("/v1/audit/completeness"))["complete"] is True
    bus.records.pop(1)
    report = end(await api.get("/v1/audit/completeness"))
    assert report["complete"] is False
    assert [problem["kind"] for problem in report["problems"]] == ["missing_in_kafka"]


@pytest.mark.usefixtures("filled")
async def test_a_resource_or_an_operation_is_explained(api: Audit) -> None:
    for about in (f"resource={ORDERS}", f"operation={operation_id(SOURCE, '1')}"):
        sentences = items(await api.get(f"/v1/audit/explain?{about}"))
        assert [sentence["offset"] for sentence in sentences] == [0, 0]
        assert sentences[1]["text"].startswith("It is provisioned")


@pytest.mark.usefixtures("filled")
async def test_the_state_at_a_time_is_returned(api: Audit) -> None:
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


async def test_whatever_is_refused_is_refused_with_a_problem(api: Audit) -> None:
    for target, status in REFUSED.items():
        reply = await api.get(target)
        assert (reply.status, bool(reply.problem())) == (status, True), target
    reply = await api.request("DELETE", "/v1/audit/records")
    assert (reply.status, reply.headers["allow"]) == (405, "GET")
    assert reply.problem()


async def test_an_internal_failure_discloses_nothing(
    api: Audit, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("swordfish")

    monkeypatch.setattr(store, "events", fail)
    reply = await api.get("/v1/audit/records")
    assert (reply.status, reply.problem()["code"]) == (500, "internal")
    assert b"swordfish" not in reply.body


PAYMENTS, BILLING = (
    ReadScope(("payments",), platform=False),
    ReadScope(("billing",), platform=False),
)
NOTHING = ReadScope((), platform=False)
THEIRS = "billing/dev/event-stream/invoices"


@pytest.fixture
async def shared(bus: Bus) -> Bus:
    """An operation of payments, one of billing, and what belongs to a team but to no resource."""
    for team, id_, resource in (("payments", "1", ORDERS), ("billing", "b", THEIRS)):
        operation = operation_id(f"urn:team:{team}", id_)
        named = dict(
            zip(("team", "environment", "promise", "name"), resource.split("/"), strict=True)
        )
        intent = ApplyResource.model_validate({**named, "spec": {}})
        bus.message(intent, id_, source=f"urn:team:{team}")
        provisioned = {**ResourceProvisioned.EXAMPLES[0], "operation": operation}
        fact_ = ResourceProvisioned.model_validate({**provisioned, "resource": resource})
        bus.message(fact_, f"{team}-2", relay="provisioner")
        subscribed = {**Subscribed.EXAMPLES[0], "subscription": f"{team}/{team}-hook"}
        bus.message(Subscribed.model_validate(subscribed), f"{team}-3", relay="notifier")
    declared = PrincipalDeclared.model_validate(PrincipalDeclared.EXAMPLES[0])
    bus.message(declared, "nobodys", relay="identity")
    await bus.consume()
    return bus


@pytest.mark.usefixtures("shared")
async def test_records_are_those_of_the_teams_that_may_be_read(api: Audit) -> None:
    async def ids(scope: ReadScope, query: str = "") -> list[str]:
        page = (await api.get_for(scope, f"/v1/audit/records?limit=100{query}")).json
        assert page["total"] == len(page["items"])
        return [one["id"] for one in page["items"]]

    assert await ids(PAYMENTS) == ["1", "payments-2", "payments-3"]
    assert await ids(BILLING) == ["b", "billing-2", "billing-3"]
    assert await ids(NOTHING) == []
    both = ReadScope(("billing", "payments"), platform=False)
    assert await ids(both) == ["1", "payments-2", "payments-3", "b", "billing-2", "billing-3"]
    every = ReadScope(None, platform=False)
    assert await ids(every) == await ids(both)
    rest = ReadScope(("payments",), platform=True)
    assert await ids(rest) == ["1", "payments-2", "payments-3", "nobodys"]
    assert len(await ids(EVERYTHING)) == 7
    assert await ids(PAYMENTS, f"&resource={THEIRS}") == []
    assert await ids(PAYMENTS, f"&operation={operation_id('urn:team:billing', 'b')}") == []


@pytest.mark.usefixtures("shared")
async def test_a_record_of_a_team_that_is_about_no_resource_shows_none(api: Audit) -> None:
    page = (await api.get_for(PAYMENTS, "/v1/audit/records")).json
    assert [one["resource"] for one in page["items"]] == [ORDERS, ORDERS, None]


@pytest.mark.usefixtures("shared")
async def test_cursors_of_a_team_hide_the_positions_and_are_for_one_reader(api: Audit) -> None:
    seen, after = [], "0"
    while after is not None:
        page = (await api.get_for(BILLING, f"/v1/audit/records?limit=1&after={after}")).json
        seen += [one["id"] for one in page["items"]]
        assert page["total"] in {3, None}
        cursors = [str(one["cursor"]) for one in page["items"]]
        assert not any(cursor.isdecimal() for cursor in cursors), page
        after = page["next"]
    assert seen == ["b", "billing-2", "billing-3"]
    first, second = [
        (await api.get_for(BILLING, "/v1/audit/records?limit=1")).json["next"] for _ in "12"
    ]
    assert first != second
    assert len(first) == len(second)
    other = {**audit_scope.write(BILLING, "another"), "after": first}
    reply = await Api.get(api, f"/v1/audit/records?{urlencode(other)}")
    assert (reply.status, reply.problem()["code"]) == (400, "bad_cursor")
    assert (await api.get_for(BILLING, "/v1/audit/records?after=3")).status == 400
    assert (await api.get(f"/v1/audit/records?after={first}")).status == 400


@pytest.mark.usefixtures("shared")
async def test_an_explanation_has_only_records_of_the_teams_that_may_be_read(
    api: Audit, bus: Bus
) -> None:
    operation = operation_id("urn:team:billing", "b")
    unknown = operation_id("urn:team:billing", "unknown")
    theirs, nobodys = [
        await api.get_for(PAYMENTS, f"/v1/audit/explain?operation={one}")
        for one in (operation, unknown)
    ]
    assert theirs.status == nobodys.status == 404
    assert theirs.body.replace(str(operation).encode(), b"") == nobodys.body.replace(
        str(unknown).encode(), b""
    )
    # A record of payments that claims the source and id of billing's intent:
    intent = ApplyResource.model_validate(ApplyResource.EXAMPLES[0])
    forged = bus.message(intent, "b", source="urn:team:billing")
    await bus.consume(forged)
    for about in (f"operation={operation}", f"resource={ORDERS}", f"resource={ORDERS}&last=9"):
        reply = await api.get_for(PAYMENTS, f"/v1/audit/explain?{about}")
        assert b"invoices" not in reply.body
        begin = lines(reply)[0]["progress"]
        assert begin["total"] == (1 if "operation" in about else 3)
    assert b"invoices" in (await api.get_for(BILLING, f"/v1/audit/explain?resource={THEIRS}")).body


@pytest.mark.usefixtures("shared")
async def test_an_explanation_continues_at_a_cursor_that_is_sealed(api: Audit) -> None:
    found = lines(await api.get_for(BILLING, f"/v1/audit/explain?resource={THEIRS}"))
    cursors = [line["cursor"] for line in found if line.get("cursor")]
    assert cursors
    assert not any(cursor.isdecimal() for cursor in cursors)
    more = f"/v1/audit/explain?resource={THEIRS}&after={cursors[-1]}"
    assert items(await api.get_for(BILLING, more)) == []


@pytest.mark.usefixtures("shared")
async def test_the_state_is_that_of_the_teams_that_may_be_read_and_counts_nothing_else(
    api: Audit,
) -> None:
    for scope, wanted in (
        (PAYMENTS, [ORDERS]),
        (BILLING, [THEIRS]),
        (NOTHING, []),
        (ReadScope(("billing", "payments"), platform=False), [THEIRS, ORDERS]),
        (ReadScope(None, platform=False), [THEIRS, ORDERS]),
    ):
        reply = await api.get_for(scope, "/v1/audit/state")
        assert [view["id"] for view in items(reply)] == wanted
        assert b"total" not in reply.body
    assert items(await api.get_for(PAYMENTS, f"/v1/audit/state?resource={THEIRS}")) == []
    after = await api.get_for(ReadScope(None, platform=False), f"/v1/audit/state?after={THEIRS}")
    assert [view["id"] for view in items(after)] == [ORDERS]


@pytest.mark.usefixtures("shared")
async def test_a_dead_letter_belongs_to_the_team_in_its_ordering_key(api: Audit, bus: Bus) -> None:
    example = DeadLettered.EXAMPLES[2]
    for id_, key in (("mine", ORDERS), ("theirs", THEIRS), ("nobodys", None), ("odd", "a/b/c")):
        failed = DeadLettered.model_validate({**example, "ordering_key": key})
        await bus.consume(bus.message(failed, id_, topic="busbar.dlq.policy", relay="policy"))
    page = (await api.get_for(PAYMENTS, "/v1/audit/records")).json
    assert [one["id"] for one in page["items"]][3:] == ["mine"]


@pytest.mark.usefixtures("shared")
async def test_only_who_may_read_what_belongs_to_no_team_checks_the_whole_log(api: Audit) -> None:
    for scope in (PAYMENTS, NOTHING, ReadScope(None, platform=False)):
        assert (await api.get_for(scope, "/v1/audit/completeness")).status == 403
    assert (await api.get_for(ReadScope((), platform=True), "/v1/audit/completeness")).status == 200


@pytest.mark.parametrize("path", ["records", "completeness", "explain", "state"])
async def test_nothing_is_answered_to_a_request_that_does_not_say_what_may_be_read(
    path: str, api: Audit, shared: Bus
) -> None:
    del shared
    for query in ("", "?teams=*", "?teams=*&platform=true", "?teams=*&platform=yes&reader=x"):
        reply = await Api.get(api, f"/v1/audit/{path}{query}")
        assert reply.status == 400, (path, query)
        assert "what may be read" in reply.problem()["detail"]
