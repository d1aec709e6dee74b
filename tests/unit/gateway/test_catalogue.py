"""Promises are passed on from policy."""

import json

from busbar.gateway.adapters import AuditResponse
from unit.gateway.conftest import Api, FakeAudit

PROMISE = {"id": "thing", "name": "thing", "title": "A thing"}


def answer(status: int, body: object) -> AuditResponse:
    return AuditResponse(status, "application/json", json.dumps(body).encode())


async def test_promises_are_those_that_policy_has_loaded(api: Api, policy: FakeAudit) -> None:
    policy.answer = answer(200, {"items": [PROMISE]})
    (item,) = (await api.get("/v1/promises")).json["items"]
    assert (item["id"], item["title"], item["problem"]) == ("thing", "A thing", "")

    policy.answer = answer(200, PROMISE)
    assert (await api.get("/v1/promises/thing")).json["name"] == "thing"
    assert [path for path, _ in policy.asked] == ["/v1/promises", "/v1/promises/thing"]


async def test_a_promise_that_does_not_exist_is_not_found(api: Api, policy: FakeAudit) -> None:
    policy.answer = answer(404, {})

    reply = await api.get("/v1/promises/thing%2F..")

    assert reply.status == 404
    reply.problem()
    assert all(".." not in path.split("/") for path, _ in policy.asked)


async def test_promises_are_unavailable_while_policy_is(api: Api, policy: FakeAudit) -> None:
    policy.answer = None
    reply = await api.get("/v1/promises")
    assert (reply.status, reply.problem()["code"]) == (503, "policy_unavailable")

    policy.answer = answer(500, {})
    reply = await api.get("/v1/promises/thing")
    assert (reply.status, reply.problem()["code"]) == (502, "policy_failed")
