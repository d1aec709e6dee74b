"""A principal sees what belongs to its teams, itself, and what is for everybody."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest

from busbar.gateway.adapters import AuditResponse
from busbar.messages.catalogue import FACTS
from busbar.messages.delivery import DeadLettered, HeadPublished
from busbar.messages.notification import Subscribed
from busbar.messages.policy import IntentAllowed, IntentDenied
from busbar.messages.resource import ApplyResource, ResourceQueued
from busbar.runtime.store import Store, open_store
from busbar.testing import ManualClock
from unit.audit.conftest import Bus
from unit.gateway.conftest import STRUCTURED, Api, FakeAudit, Platform, app_over, event
from unit.gateway.principals import Caller, declared, join
from unit.gateway.two_teams import (
    MINE,
    THEIRS,
    UNKNOWN,
    AuditInProcess,
    World,
    example_of,
    fill,
    filters,
    operation_of,
    parameters,
    source_of,
)

Kind = Literal["team", "platform", "open"]

READS: dict[str, Kind] = {
    "/v1/operations": "team",
    "/v1/operations/{operation}": "team",
    "/v1/resources": "team",
    "/v1/resources/{team}/{environment}/{promise}/{name}": "team",
    "/v1/subscriptions": "team",
    "/v1/subscriptions/{team}/{name}": "team",
    "/v1/subscriptions/{team}/{name}/deliveries": "team",
    "/v1/subscriptions/{team}/{name}/deliveries/{event}": "team",
    "/v1/facts": "team",
    "/v1/dead-letters": "team",
    "/v1/dead-letters/{dead_letter}": "team",
    "/v1/principals": "team",
    "/v1/principals/{principal}": "team",
    "/v1/audit/records": "team",
    "/v1/audit/explain": "team",
    "/v1/audit/state": "team",
    "/v1/audit/completeness": "platform",
    "/v1/promises": "open",
    "/v1/promises/{name}": "open",
    "/v1/openapi.json": "open",
}
"""Every path that reads, and to whom it shows what. A new one has to be added here."""


@pytest.fixture
async def audit_store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    opened = await open_store(tmp_path / "audit.db", service="audit", clock=clock)
    yield opened
    await opened.close()


@pytest.fixture
def api(store: Store, audit_store: Store, clock: ManualClock, policy: FakeAudit) -> Api:
    audit = AuditInProcess(audit_store, Bus(audit_store, clock))
    return Api(app_over(store, audit, policy=policy))


@pytest.fixture
async def world(platform: Platform, audit_store: Store, clock: ManualClock) -> World:
    """Every fact and every intent, once by each of two teams."""
    found = World(platform, audit_store, clock)
    for team in (THEIRS, MINE):
        found.says(example_of(ApplyResource, 0, team, 1), team, id=f"{team}-1")
        for fact in FACTS:
            for number, _ in enumerate(fact.EXAMPLES):
                if fact is not HeadPublished:
                    found.says(example_of(fact, number, team, 1), team)
        found.says(example_of(Subscribed, 0, team, 1), team)  # it was deleted
        found.says(declared(f"{team}-ci", [team], sources=[source_of(team)]), team)
    await found.read()
    return found


@pytest.fixture
async def mine(world: World, platform: Platform, api: Api) -> Caller:
    del world
    return await join(platform, api, f"{MINE}-reader", MINE, sources=[source_of(MINE)])


@pytest.fixture
async def loner(world: World, platform: Platform, api: Api) -> Caller:
    """A principal that is in no team."""
    del world
    return await join(platform, api, "loner")


def reads(api: Api) -> dict[str, dict[str, Any]]:
    assert api.described is not None
    document = api.app.openapi()  # type: ignore[attr-defined] # of the application
    return {path: item["get"] for path, item in document["paths"].items() if "get" in item}


def needed(path: str, team: str, number: int = 1) -> str:
    """The query without which a path answers nothing."""
    return f"?operation={operation_of(team, number)}" if path == "/v1/audit/explain" else ""


def test_every_path_that_reads_says_to_whom(api: Api) -> None:
    assert set(reads(api)) == set(READS)


@pytest.mark.parametrize("path", [path for path, kind in READS.items() if kind == "team"])
async def test_who_is_in_no_team_finds_nothing(path: str, loner: Caller) -> None:
    reply = await loner.get(fill(path, THEIRS, 1) + needed(path, THEIRS))
    if "{" in path or needed(path, THEIRS):
        assert (reply.status, reply.problem()["code"]) == (404, "not_found")
    elif path == "/v1/principals":
        assert [one["principal"] for one in reply.json["items"]] == ["loner"]
    elif path == "/v1/audit/state":
        assert reply.body == b'{"end":{}}\n'
    else:
        assert (reply.status, reply.json["items"]) == (200, [])


@pytest.mark.parametrize("path", [path for path, kind in READS.items() if kind == "platform"])
async def test_what_belongs_to_no_team_is_for_those_who_may_read_that(
    path: str, mine: Caller, platform: Platform
) -> None:
    reply = await mine.get(path)
    assert (reply.status, reply.problem()["code"]) == (403, "forbidden")
    assert "team:read for what belongs to no team" in reply.problem()["detail"]
    auditor = await join(platform, mine.api, "auditor", permissions=["team:read"])
    assert (await auditor.get(path)).status == 200


async def test_what_is_for_everybody_is_shown_to_everybody(
    loner: Caller, policy: FakeAudit
) -> None:
    for path, kind in READS.items():
        if kind == "open":
            status = 404 if path.endswith("{name}") else 200
            policy.answer = AuditResponse(status, "application/json", b'{"items":[]}')
            assert (await loner.get(fill(path, THEIRS, 1))).status == status, path


async def test_a_team_sees_what_is_its_own_on_every_path(mine: Caller) -> None:
    for path, kind in READS.items():
        if kind != "team":
            continue
        reply = await mine.get(fill(path, MINE, 1) + needed(path, MINE))
        assert reply.status == 200, (path, reply)
        assert MINE.encode() in reply.body, path


def plain(text: bytes, team: str, number: int = 1) -> str:
    """The text of an answer without the ids that were asked for."""
    said = text.decode()
    ids = [fill(part, team, number) for part in ("{dead_letter}", "{event}")]
    for value in (*filters(team, number).values(), *ids):
        said = said.replace(value, "ID")
    return said.replace(team, "TEAM")


async def test_an_id_of_another_team_is_answered_as_one_that_does_not_exist(mine: Caller) -> None:
    for path, kind in READS.items():
        if kind != "team" or "{" not in path:
            continue
        wait = "?wait=30" if path == "/v1/operations/{operation}" else ""
        theirs = await mine.get(fill(path, THEIRS, 1) + wait)
        unknown = await mine.get(fill(path, UNKNOWN, 1) + wait)
        assert theirs.status == 404, (path, theirs)
        assert plain(theirs.body, THEIRS) == plain(unknown.body, UNKNOWN), path
        assert theirs.headers.keys() == unknown.headers.keys(), path


async def test_a_filter_says_the_same_about_another_team_and_one_that_does_not_exist(
    mine: Caller, api: Api
) -> None:
    refused = 0
    for path, operation in reads(api).items():
        for name in parameters(operation) & set(filters(THEIRS, 1)):
            theirs, unknown = [
                await mine.get(f"{fill(path, MINE, 1)}?{name}={filters(team, 1)[name]}")
                for team in (THEIRS, UNKNOWN)
            ]
            assert theirs.status == unknown.status, (path, name)
            if theirs.status != 200:
                assert plain(theirs.body, THEIRS) == plain(unknown.body, UNKNOWN), (path, name)
            if name != "operation":
                assert (theirs.status, theirs.problem()["code"]) == (403, "forbidden")
                assert f"team:read for the team {THEIRS}" in theirs.problem()["detail"]
                refused += 1
            elif theirs.status == 200:
                assert theirs.json["items"] == []
    assert refused >= 9


@pytest.mark.usefixtures("world")
async def test_several_teams_are_one_list_in_the_usual_order(platform: Platform, api: Api) -> None:
    both = await join(platform, api, "both", MINE, THEIRS)
    for target, field in (
        ("/v1/operations", "id"),
        ("/v1/resources", "id"),
        ("/v1/subscriptions", "subscription"),
        ("/v1/dead-letters", "dead_letter"),
    ):
        everything = [one[field] for one in (await api.get(target)).json["items"]]
        assert await paged(both, target, field) == [
            one for one in everything if await sees(both, target, one)
        ], target
        assert len(await paged(both, target, field)) > 1, target


async def sees(caller: Caller, collection: str, id_: str) -> bool:
    return (await caller.get(f"{collection}/{id_}")).status == 200


async def paged(caller: Caller, target: str, field: str) -> list[str]:
    """This field of all items, read in pages of one."""
    found: list[str] = []
    after = ""
    while True:
        page = (await caller.get(f"{target}?limit=1{after}")).json
        found += [item[field] for item in page["items"]]
        if page["next"] is None:
            return found
        after = f"&after={page['next']}"


async def test_a_small_team_gets_full_pages_in_a_large_installation(
    api: Api, platform: Platform
) -> None:
    few = await join(platform, api, "few", MINE)
    for number in range(40):
        await platform.publish(queued_of(THEIRS, number))
        if number % 10 == 0:
            await platform.publish(queued_of(MINE, number))
    wanted = [operation_of(MINE, number) for number in (30, 20, 10, 0)]
    page = (await few.get("/v1/operations?limit=3")).json
    assert [one["id"] for one in page["items"]] == wanted[:3]
    assert await few.items(f"/v1/operations?limit=3&after={page['next']}") == wanted[3:]
    assert await few.items("/v1/operations?status=running") == wanted
    assert len(await few.items("/v1/resources")) == 4


def queued_of(team: str, number: int) -> ResourceQueued:
    fact = example_of(ResourceQueued, 0, team, number)
    assert isinstance(fact, ResourceQueued)
    return fact


async def test_prefixes_and_teams_are_narrowed_to_what_may_be_seen(mine: Caller) -> None:
    own = await mine.items("/v1/resources")
    assert await mine.items(f"/v1/resources?prefix={MINE[:2]}") == own != []
    assert await mine.items(f"/v1/resources?prefix={THEIRS[:2]}") == []
    assert await mine.items(f"/v1/resources?team={MINE}&prefix={MINE}/dev/") == own


async def test_who_asks_sees_its_own_operation_whatever_it_is_about(
    platform: Platform, api: Api
) -> None:
    ours = await join(platform, api, "ours", MINE, sources=[source_of(MINE)])
    colleague = await join(platform, api, "colleague", MINE)
    body = event(1, source=source_of(MINE))  # about a resource of payments
    posted = await send(ours, body)
    operation = posted.json["operation"]
    assert await ours.items("/v1/operations") == [operation]
    assert (await ours.get(f"/v1/operations/{operation}")).json["status"] == "received"
    assert (await colleague.get(f"/v1/operations/{operation}")).status == 404
    denied = IntentDenied.model_validate(
        {
            **IntentDenied.EXAMPLES[0],
            "operation": operation,
            "resource": "payments/dev/event-stream/orders",
            "caller": {"principal": "ours", "verified": "relayed", "position": 1},
        }
    )
    await platform.publish(denied)
    assert (await ours.get(f"/v1/operations/{operation}")).json["status"] == "denied"
    assert await ours.items("/v1/facts") == []
    payments = await join(platform, api, "payments-ci", "payments")
    assert await payments.items("/v1/operations") == [operation]


async def send(caller: Caller, body: dict[str, Any]) -> Any:
    return await caller.api.request(
        "POST",
        "/v1/events",
        headers=STRUCTURED,
        body=json.dumps(body).encode(),
        token=caller.token(),
    )


async def test_a_source_of_another_is_refused_before_it_takes_a_place(
    platform: Platform, api: Api
) -> None:
    victim = await join(platform, api, "victim", MINE, sources=[source_of(MINE)])
    forger = await join(platform, api, "forger", THEIRS, sources=[source_of(THEIRS)])
    body = event(1, source=source_of(MINE))
    unknown = await send(forger, body)
    assert (unknown.status, unknown.problem()["code"]) == (403, "foreign_source")
    assert (await send(victim, body)).status == 202
    known = await send(forger, body)
    assert known.body == unknown.body
    other = await send(forger, {**body, "data": {**body["data"], "spec": {"partitions": 9}}})
    assert other.body == unknown.body
    (stored,) = await platform.stored()
    assert '"authid":"victim"' in stored.metadata
    assert '"authtype":"service_account"' in stored.metadata


@pytest.mark.usefixtures("world", "loner")
async def test_a_principal_sees_itself_and_those_of_its_teams(platform: Platform, api: Api) -> None:
    reader = await join(platform, api, "reader", MINE)
    await platform.publish(declared("everywhere", ["*"]))
    seen = await reader.items("/v1/principals", "principal")
    assert seen == [f"{MINE}-ci", "everywhere", "reader"]
    await platform.publish(declared(f"{MINE}-ci", [THEIRS]))
    assert await reader.items("/v1/principals", "principal") == ["everywhere", "reader"]
    assert (await reader.get(f"/v1/principals/{MINE}-ci")).status == 404
    every = await join(platform, api, "every", "*")
    assert await paged(every, "/v1/principals", "principal") == sorted(
        {f"{MINE}-ci", f"{THEIRS}-ci", "every", "everywhere", "payments-ci", "reader"}
        & set(await paged(every, "/v1/principals", "principal"))
    )
    assert "loner" not in await every.items("/v1/principals", "principal")
    auditor = await join(platform, api, "auditor", permissions=["team:read"])
    assert {"loner", "reader", f"{MINE}-ci"} <= set(
        await auditor.items("/v1/principals", "principal")
    )


@pytest.mark.usefixtures("world")
async def test_every_team_without_the_rest_is_all_that_has_a_team(
    platform: Platform, api: Api
) -> None:
    every = await join(platform, api, "every", "*")
    facts = (await every.get("/v1/facts?limit=1000")).json["items"]
    assert {MINE, THEIRS} <= {(one["resource"] or "").partition("/")[0] for one in facts}
    assert not any(one["type"].startswith("busbar.identity.principal") for one in facts)
    assert (await every.get("/v1/audit/completeness")).status == 403
    hidden = set(await paged_all(api, "/v1/dead-letters", "dead_letter"))
    assert set(await paged(every, "/v1/dead-letters", "dead_letter")) <= hidden


async def paged_all(api: Api, target: str, field: str) -> list[str]:
    return [one[field] for one in (await api.get(target)).json["items"]]


@pytest.mark.usefixtures("world")
async def test_a_record_that_cannot_be_read_belongs_to_no_team(
    platform: Platform, api: Api
) -> None:
    unreadable = DeadLettered.model_validate(
        {**DeadLettered.EXAMPLES[0], "dead_letter": "unreadable", "ordering_key": None}
    )
    topic = "busbar.dlq.policy"
    await platform.engine.handle_batch([platform.record(unreadable, topic=topic)])
    reader = await join(platform, api, "reader", MINE, THEIRS)
    assert "unreadable" not in await reader.items("/v1/dead-letters", "dead_letter")
    assert "unreadable" not in await reader.items("/v1/dead-letters?service=policy", "dead_letter")
    auditor = await join(platform, api, "auditor", permissions=["team:read"])
    assert "unreadable" in await auditor.items("/v1/dead-letters", "dead_letter")


async def test_a_dead_letter_with_a_claimed_id_does_not_decide_whose_an_operation_is(
    platform: Platform, api: Api
) -> None:
    """Its record may carry the key of one team, and the source and id of an event of another."""
    forged = example_of(DeadLettered, 2, THEIRS, 1).model_copy(
        update={"operation": UUID(operation_of(MINE, 1))}
    )
    assert isinstance(forged, DeadLettered)
    allowed = example_of(IntentAllowed, 0, MINE, 1)
    assert isinstance(allowed, IntentAllowed)
    theirs = await join(platform, api, "theirs", THEIRS)
    ours = await join(platform, api, "ours", MINE)
    topic = "busbar.dlq.provisioner"
    await platform.engine.handle_batch([platform.record(forged, topic=topic)])
    await platform.publish(allowed)
    assert (await theirs.get(f"/v1/operations/{operation_of(MINE, 1)}")).status == 404
    assert await ours.items("/v1/operations") == [operation_of(MINE, 1)]
