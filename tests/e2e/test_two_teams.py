"""Two teams, each with a key, on one platform: what one has does not exist for the other."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import pytest

from busbar.cli.local import Platform
from busbar.cli.local.home import prepare
from busbar.cli.local.principals import ensure_principals
from busbar.kernel.clock import parse_time
from busbar.messages.resource import ResourceProvisioned
from busbar.runtime.core.settings import load_settings
from busbar.runtime.core.signing_key import ensure_signing_key, key_path
from busbar.sdk import Client, GatewayProblem, KeyToken, SigningKey
from e2e.conftest import client_of
from e2e.test_commands import busbar
from support import eventually
from support.platforms import running

TEAMS = ("payments", "search")
DECLARED = """
  - name: {team}-ci
    kind: service-account
    teams: [{team}]
    sources: ["urn:team:{team}"]
    keys: ["{key}"]
"""


def key_of(home: Path, team: str) -> SigningKey:
    return ensure_signing_key(key_path(home, f"{team}-ci"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform with a principal of each team."""
    home = tmp_path_factory.mktemp("shared")
    prepare(home)
    ensure_principals(home)
    with (home / "principals.yaml").open("a", encoding="utf-8") as file:
        for team in TEAMS:
            file.write(DECLARED.format(team=team, key=key_of(home, team).public.text))
    with running(Platform(home, bootstrap=load_settings().kafka_bootstrap_servers)) as found:
        yield found


@dataclass(frozen=True)
class Clients:
    """A client of each team, and one of the administrator."""

    admin: Client
    payments: Client
    search: Client


@pytest.fixture
async def clients(shared: Platform) -> AsyncIterator[Clients]:
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(client_of(shared))
        await eventually(lambda: _knows(admin), within=60, what="both principals")
        ours, theirs = [
            await stack.enter_async_context(
                Client(shared.url, KeyToken(f"{team}-ci", key_of(shared.home, team)))
            )
            for team in TEAMS
        ]
        yield Clients(admin, ours, theirs)


async def _knows(admin: Client) -> bool:
    names = {one.principal async for one in admin.principals()}
    return {f"{team}-ci" for team in TEAMS} <= names


async def made(client: Client, team: str, name: str) -> str:
    """The operation that made a stream of ``team``."""
    receipt = await client.apply(f"{team}/dev/event-stream/{name}", {})
    view = await client.wait(receipt.operation, timeout=60)
    assert view.status == "succeeded", view
    return receipt.operation


async def problem_of(call: object) -> GatewayProblem:
    with pytest.raises(GatewayProblem) as caught:
        await call  # type: ignore[misc] # a coroutine of the client
    return caught.value


async def test_each_team_sees_its_own_and_nothing_of_the_other(clients: Clients) -> None:
    ours = await made(clients.payments, "payments", "orders")
    theirs = await made(clients.search, "search", "queries")
    for client, team, operation in (
        (clients.payments, "payments", ours),
        (clients.search, "search", theirs),
    ):
        assert [one.id.split("/")[0] async for one in client.resources()] == [team]
        assert [one.id async for one in client.operations()] == [operation]
        facts = [one async for one in client.facts(follow=False)]
        assert {one.resource.split("/")[0] for one in facts if one.resource} == {team}
        assert {one.principal async for one in client.principals()} == {"admin", f"{team}-ci"}

        async def whole(client: Client = client, operation: str = operation) -> bool:
            sentences = [one async for one in client.why(operation)]
            return any("provisioned" in one.text for one in sentences)

        await eventually(whole, within=60, what="the explanation")
        page = await client.audit_page()
        assert {(one.resource or "").split("/")[0] for one in page.items} == {team}
        assert page.total == len(page.items)
        now = parse_time("2100-01-01T00:00:00Z")
        assert [one.id.split("/")[0] async for one in client.state_at(now)] == [team]
    assert (await problem_of(clients.search.operation(ours, wait=20))).status == 404
    assert (
        await problem_of(clients.search.resource("payments/dev/event-stream/orders"))
    ).status == 404
    assert (await problem_of(_first(clients.search.why(ours)))).status == 404
    forbidden = await problem_of(_first(clients.search.resources(team="payments")))
    assert (forbidden.status, forbidden.code) == (HTTPStatus.FORBIDDEN, "forbidden")
    assert (await problem_of(clients.search.completeness())).status == HTTPStatus.FORBIDDEN
    assert {one.id.split("/")[0] async for one in clients.admin.resources()} == set(TEAMS)


async def _first(items: AsyncIterator[object]) -> object:
    return await anext(aiter(items))


async def test_who_asks_for_what_is_another_teams_learns_why_it_is_denied(
    clients: Clients,
) -> None:
    receipt = await clients.search.apply("payments/dev/event-stream/theirs", {})
    view = await clients.search.wait(receipt.operation, timeout=60)
    assert (view.status, view.reason) == ("denied", "forbidden")
    assert "search-ci lacks the permission resource:write" in view.violations[0]["message"]


async def test_a_source_of_another_team_takes_no_id_from_it(
    shared: Platform, clients: Clients
) -> None:
    key = KeyToken("search-ci", key_of(shared.home, "search"))
    async with Client(shared.url, key, source="urn:team:payments") as forger:
        about = "payments/dev/event-stream/taken"
        refused = await problem_of(forger.apply(about, {}, event_id="taken"))
        assert (refused.status, refused.code) == (HTTPStatus.FORBIDDEN, "foreign_source")
        receipt = await clients.payments.apply(about, {"partitions": 2}, event_id="taken")
        assert not receipt.replayed
        again = await problem_of(forger.apply(about, {}, event_id="taken"))
        assert again.detail == refused.detail


async def test_one_that_follows_gets_facts_of_its_team_as_they_come(clients: Clients) -> None:
    async def following() -> str | None:
        async for fact in clients.search.facts(types=[ResourceProvisioned.TYPE], follow=True):
            if fact.resource != "search/dev/event-stream/queries":
                return fact.resource
        return None

    waiting = asyncio.create_task(following())
    await made(clients.payments, "payments", "noise")
    await made(clients.search, "search", "followed")
    found = await asyncio.wait_for(waiting, 60)
    assert found == "search/dev/event-stream/followed"


async def test_commands_act_as_a_principal(shared: Platform, tmp_path: Path) -> None:
    file = tmp_path / "stream.yaml"
    named = {"team": "search", "environment": "dev", "promise": "event-stream", "name": "typed"}
    file.write_text(json.dumps({**named, "spec": {}}), encoding="utf-8")
    who = ("--home", str(shared.home), "--as", "search-ci")
    code, out, errors = await busbar(*who, "apply", "-f", str(file))
    assert code == 0, out + errors
    code, out, errors = await busbar(*who, "get")
    assert code == 0, out + errors
    assert "search/dev/event-stream/typed" in out
    assert "payments" not in out
    code, out, errors = await busbar(*who, "why", "search/dev/event-stream/typed")
    assert code == 0, out + errors
    code, out, errors = await busbar(*who, "get", "--team", "payments")
    assert code != 0
    assert "team:read" in errors


async def test_a_revoked_key_ends_a_request_that_waits(shared: Platform, clients: Clients) -> None:
    key = SigningKey.generate()
    registered = await clients.admin.register_key("search-ci", key.public.text)
    assert (await clients.admin.wait(registered.operation, timeout=60)).status == "succeeded"
    async with Client(shared.url, KeyToken("search-ci", key)) as client:

        async def follow() -> None:
            async for _ in client.facts(after="now", follow=True):
                pass

        assert (await client.principal("search-ci")).declared
        waiting = asyncio.create_task(follow())
        revoked = await clients.admin.revoke_key(key.public.id, reason="lost")
        assert (await clients.admin.wait(revoked.operation, timeout=60)).status == "succeeded"
        with pytest.raises(GatewayProblem) as caught:
            await asyncio.wait_for(waiting, 60)
        assert caught.value.status == HTTPStatus.UNAUTHORIZED
        assert (await problem_of(client.principal("search-ci"))).status == HTTPStatus.UNAUTHORIZED
