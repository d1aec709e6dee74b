"""Facts of one team, and of some types, selected by the gateway."""

import asyncio

import pytest

from busbar.messages.base import Fact
from busbar.messages.notification import Subscribed
from busbar.messages.policy import IntentAllowed, IntentDenied
from busbar.messages.resource import ResourceDeleted, ResourceProvisioned
from unit.gateway.conftest import Api, Platform, fact_of

THEIRS = "billing/dev/event-stream/orders"


@pytest.fixture
async def published(platform: Platform) -> list[Fact]:
    facts: list[Fact] = [
        fact_of(IntentAllowed),
        fact_of(ResourceProvisioned),
        fact_of(ResourceProvisioned, resource=THEIRS),
        fact_of(ResourceDeleted),
        fact_of(Subscribed, subscription="payments/s"),
        fact_of(Subscribed, subscription="billing/s"),
    ]
    await platform.publish(*facts)
    return facts


async def types(api: Api, query: str) -> list[str]:
    reply = await api.get(f"/v1/facts?{query}")
    assert reply.status == 200, reply
    return [item["type"] for item in reply.json["items"]]


@pytest.mark.usefixtures("published")
async def test_a_team_gets_its_own_facts_also_those_about_no_resource(api: Api) -> None:
    theirs = await types(api, "team=billing")
    assert theirs == [ResourceProvisioned.TYPE, Subscribed.TYPE]
    assert len(await types(api, "team=payments")) == 4
    assert await types(api, "team=pay") == []
    assert await types(api, "team=unknown") == []


@pytest.mark.usefixtures("published")
async def test_types_are_names_or_patterns_and_add_up(api: Api) -> None:
    assert await types(api, f"type={ResourceDeleted.TYPE}") == [ResourceDeleted.TYPE]
    both = await types(api, f"type={ResourceDeleted.TYPE}&type=busbar.policy.*")
    assert both == [IntentAllowed.TYPE, ResourceDeleted.TYPE]


@pytest.mark.usefixtures("published")
async def test_filters_apply_together_and_a_cursor_continues_behind(api: Api) -> None:
    query = f"team=payments&type={Subscribed.TYPE}&type={IntentAllowed.TYPE}"
    first = (await api.get(f"/v1/facts?{query}&limit=1")).json
    assert [item["type"] for item in first["items"]] == [IntentAllowed.TYPE]
    assert await types(api, f"{query}&after={first['next']}") == [Subscribed.TYPE]


@pytest.mark.usefixtures("published")
async def test_a_fact_about_no_resource_shows_none(api: Api) -> None:
    (item,) = (await api.get(f"/v1/facts?type={Subscribed.TYPE}&team=billing")).json["items"]
    assert item["resource"] is None


async def test_a_denial_that_names_no_resource_is_its_team_s(api: Api, platform: Platform) -> None:
    requested = {"team": "payments", "name": "?"}
    await platform.publish(fact_of(IntentDenied, resource=None, requested=requested))
    assert await types(api, "team=payments") == [IntentDenied.TYPE]


@pytest.mark.usefixtures("published")
async def test_a_filter_that_nothing_matches_moves_its_cursor_behind_what_it_has_seen(
    api: Api,
) -> None:
    page = (await api.get("/v1/facts?team=unknown")).json
    assert page["items"] == []
    newest = (await api.get("/v1/facts?after=now")).json["next"]
    assert page["next"] == newest


async def test_who_waits_for_a_type_gets_it_and_not_others(api: Api, platform: Platform) -> None:
    waiting = asyncio.create_task(types(api, f"type={ResourceDeleted.TYPE}&wait=30"))
    await platform.publish(fact_of(ResourceProvisioned))
    await platform.publish(fact_of(ResourceDeleted))
    assert await asyncio.wait_for(waiting, 30) == [ResourceDeleted.TYPE]
