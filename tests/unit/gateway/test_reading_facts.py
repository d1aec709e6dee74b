"""Facts as a principal follows them: cursors that hide the others, and rights that end."""

import asyncio

import pytest

from busbar.messages.identity import KeyRevoked, PrincipalDeclared
from unit.gateway.conftest import Api, Platform
from unit.gateway.principals import Caller, declared, join
from unit.gateway.test_reads import queued_of
from unit.gateway.two_teams import MINE, THEIRS


@pytest.fixture
async def reader(api: Api, platform: Platform) -> Caller:
    return await join(platform, api, "reader", MINE)


async def test_cursors_show_nothing_about_the_facts_of_others(
    reader: Caller, platform: Platform
) -> None:
    await platform.publish(queued_of(MINE, 1))
    first = (await reader.get("/v1/facts")).json
    await platform.publish(*(queued_of(THEIRS, number) for number in range(20)))
    again = (await reader.get("/v1/facts")).json
    later = (await reader.get(f"/v1/facts?after={first['next']}")).json
    assert later["items"] == []
    cursors = [page["next"] for page in (first, again, later)]
    cursors += [page["items"][0]["cursor"] for page in (first, again)]
    assert len(set(cursors)) == len(cursors)
    assert {len(cursor) for cursor in cursors} == {len(cursors[0])}
    assert not any(cursor.isdecimal() for cursor in cursors)


async def test_a_cursor_continues_behind_it_for_the_principal_that_got_it(
    reader: Caller, platform: Platform
) -> None:
    await platform.publish(queued_of(MINE, 1), queued_of(THEIRS, 1), queued_of(MINE, 2))
    found, after = [], "0"
    while page := (await reader.get(f"/v1/facts?limit=1&after={after}")).json:
        if not page["items"]:
            break
        found += [item["resource"].rpartition("/")[2] for item in page["items"]]
        assert page["items"][0]["cursor"]
        after = page["next"]
    assert found == [f"{MINE}-1", f"{MINE}-2"]
    other = await join(platform, reader.api, "other", MINE)
    for cursor in (after, "3", "x" * 500, "%C3%A4"):
        reply = await other.get(f"/v1/facts?after={cursor}")
        assert (reply.status, reply.problem()["code"]) == (400, "bad_cursor"), cursor


async def test_a_key_that_is_revoked_ends_a_request_that_waits(
    reader: Caller, platform: Platform
) -> None:
    waiting = asyncio.create_task(reader.get("/v1/facts?after=now&wait=30"))
    for _ in range(20):
        await asyncio.sleep(0)
    await platform.publish(KeyRevoked(key=reader.key.public.id, principal="reader", reason="lost"))
    reply = await asyncio.wait_for(waiting, 10)
    assert (reply.status, reply.problem()["code"]) == (401, "invalid_token")


async def test_a_principal_that_leaves_its_team_gets_nothing_more_of_it(
    reader: Caller, platform: Platform
) -> None:
    waiting = asyncio.create_task(reader.get("/v1/facts?after=now&wait=2"))
    for _ in range(20):
        await asyncio.sleep(0)
    moved: PrincipalDeclared = declared("reader", [THEIRS])
    await platform.publish(moved)
    await platform.publish(queued_of(MINE, 1))
    await platform.publish(queued_of(THEIRS, 1))
    reply = await asyncio.wait_for(waiting, 10)
    assert [item["resource"].partition("/")[0] for item in reply.json["items"]] == [THEIRS]
