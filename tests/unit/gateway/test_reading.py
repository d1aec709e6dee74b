"""Views folded from facts, stable pages, and waiting for changes without polling."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from busbar.gateway.routes import views
from busbar.gateway.routes.queries import Queries
from busbar.kernel.clock import format_time
from busbar.messages.catalogue import FACTS
from busbar.messages.delivery import HeadPublished
from busbar.messages.policy import IntentAllowed, IntentDenied
from busbar.messages.resource import (
    ResourceDeleted,
    ResourceProvisioned,
    ResourceQueued,
    ResourceStuck,
    StepStarted,
)
from busbar.testing import ManualClock
from support import eventually
from support.history import History, fill_gateway
from unit.gateway.conftest import Api, Platform, event, fact_of, operation_of

ORDERS = "payments/dev/event-stream/orders"


def named(number: int) -> str:
    return f"payments/dev/event-stream/s{number:02d}"


async def ids(api: Api, target: str, field: str = "id") -> tuple[list[str], str | int | None]:
    reply = await api.get(target)
    assert reply.status == 200, reply
    return [item[field] for item in reply.json["items"]], reply.json["next"]


# -- operations and resources ---------------------------------------------------------------------


async def test_there_is_no_404_after_a_202(api: Api) -> None:
    replies = await asyncio.gather(*(api.post(event(number)) for number in range(20)))
    for reply in replies:
        view = await api.get(reply.headers["location"])
        assert (view.status, view.json["status"]) == (200, "received")
        assert view.json["id"] == reply.json["operation"]
        assert view.headers["cache-control"] == "no-store"


async def test_an_operation_is_followed_from_its_intent_to_its_end(
    api: Api, platform: Platform
) -> None:
    await api.post(event())
    seen = []
    for model in (IntentAllowed, ResourceQueued, StepStarted, ResourceProvisioned):
        await platform.publish(fact_of(model))
        seen.append((await api.get(f"/v1/operations/{operation_of()}")).json)
    assert [view["status"] for view in seen] == ["running", "running", "running", "succeeded"]
    assert seen[2]["steps"][0]["name"] == "topic"
    assert seen[3]["outputs"] == {"topic": "payments.dev.orders"}
    resource = (await api.get(f"/v1/resources/{ORDERS}")).json
    assert (resource["status"], resource["operation"]) == ("ready", operation_of())


async def test_an_operation_was_updated_by_its_last_fact_however_late_it_was_let_in(
    api: Api, platform: Platform, clock: ManualClock
) -> None:
    await api.post(event())
    assert (await api.get(f"/v1/operations/{operation_of()}")).json["updated"] == ""
    clock.advance(-3600)
    await platform.publish(fact_of(IntentAllowed))
    view = (await api.get(f"/v1/operations/{operation_of()}")).json
    assert view["updated"] == format_time(clock.now())


async def test_an_operation_that_was_not_posted_here_is_shown_too(
    api: Api, platform: Platform
) -> None:
    await platform.publish(fact_of(IntentDenied, 7))
    view = (await api.get(f"/v1/operations/{operation_of(7)}")).json
    assert (view["status"], view["reason"]) == ("denied", "rule")
    assert view["intent"]["id"] == "intent-7"
    assert view["violations"][0]["fix"].startswith("lower")


async def test_facts_may_come_before_their_intent_is_posted(api: Api, platform: Platform) -> None:
    await platform.publish(fact_of(IntentAllowed), fact_of(ResourceProvisioned))
    reply = await api.post(event())
    assert (await api.get(reply.headers["location"])).json["status"] == "succeeded"


async def test_a_fact_that_comes_twice_counts_once(api: Api, platform: Platform) -> None:
    again = [platform.record(fact_of(ResourceProvisioned), id_="same") for _ in range(2)]
    await platform.engine.handle_batch(again[:1])
    before = (await api.get("/v1/facts")).json
    await platform.engine.handle_batch(again[1:])
    assert (await api.get("/v1/facts")).json == before
    assert len(before["items"]) == 1


async def test_every_fact_but_the_heads_is_kept_for_those_who_follow(
    api: Api, platform: Platform
) -> None:
    for fact in FACTS:
        model = fact_of(fact)
        topic = fact.TOPIC.format(service="policy")
        await platform.engine.handle_batch([platform.record(model, topic=topic)])
    found, _ = await ids(api, "/v1/facts", "type")
    assert found == [fact.TYPE for fact in FACTS if fact is not HeadPublished]


async def test_a_deleted_resource_is_still_shown_as_deleted(api: Api, platform: Platform) -> None:
    await platform.publish(fact_of(ResourceProvisioned), fact_of(ResourceDeleted, 2))
    view = (await api.get(f"/v1/resources/{ORDERS}")).json
    assert (view["status"], view["spec"], view["generation"]) == ("deleted", {}, 0)


# -- pages ----------------------------------------------------------------------------------------


async def test_operations_come_newest_first_in_pages_that_inserts_do_not_move(
    api: Api, clock: ManualClock
) -> None:
    for number in range(1, 8):
        clock.advance(1)
        await api.post(event(number))
    first, cursor = await ids(api, "/v1/operations?limit=3")
    assert first == [operation_of(number) for number in (7, 6, 5)]
    clock.advance(1)
    await api.post(event(8))
    second, cursor = await ids(api, f"/v1/operations?limit=3&after={cursor}")
    third, end = await ids(api, f"/v1/operations?limit=3&after={cursor}")
    assert (second, third) == (
        [operation_of(number) for number in (4, 3, 2)],
        [operation_of(1)],
    )
    assert end is None


async def test_a_change_of_an_operation_does_not_move_it(
    api: Api, platform: Platform, clock: ManualClock
) -> None:
    for number in (1, 2, 3):
        clock.advance(1)
        await api.post(event(number))
    before = await ids(api, "/v1/operations")
    await platform.publish(fact_of(IntentAllowed, 1), fact_of(ResourceQueued, 2))
    assert await ids(api, "/v1/operations") == before


async def test_operations_are_filtered_by_status_and_resource_across_pages(
    api: Api, platform: Platform, clock: ManualClock
) -> None:
    for number in range(1, 10):
        clock.advance(1)
        await api.post(event(number, name="even" if number % 2 == 0 else "odd"))
    await platform.publish(*(fact_of(IntentDenied, number) for number in (1, 8)))
    denied, cursor = await ids(api, "/v1/operations?status=denied&limit=1")
    assert denied == [operation_of(8)]
    assert await ids(api, f"/v1/operations?status=denied&limit=1&after={cursor}") == (
        [operation_of(1)],
        (await ids(api, "/v1/operations?limit=9"))[1],
    )
    even, _ = await ids(api, "/v1/operations?resource=payments/dev/event-stream/even&limit=2")
    assert len(even) == 2


async def test_a_search_for_a_status_looks_at_a_limited_number_of_operations_a_request(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "SCANNED", 10)
    fill_gateway(tmp_path / "gateway.db", History(5, 9))
    target = "/v1/operations?status=stuck"
    found, cursor = await ids(api, target)
    requests = 1
    while cursor is not None:
        assert found == []
        found, cursor = await ids(api, f"{target}&after={quote(str(cursor))}")
        requests += 1
    assert (found, requests) == ([], 5)
    succeeded, cursor = await ids(api, "/v1/operations?status=succeeded")
    assert len(succeeded) == 10
    assert cursor is not None


async def test_resources_come_by_name_in_pages_that_inserts_do_not_move(
    api: Api, platform: Platform
) -> None:
    numbers = (5, 1, 9, 3)
    await platform.publish(
        *(fact_of(ResourceProvisioned, number, resource=named(number)) for number in numbers)
    )
    first, cursor = await ids(api, "/v1/resources?limit=2")
    assert first == [named(1), named(3)]
    await platform.publish(
        *(fact_of(ResourceProvisioned, number, resource=named(number)) for number in (2, 7))
    )
    assert await ids(api, f"/v1/resources?limit=3&after={cursor}") == (
        [named(5), named(7), named(9)],
        named(9),
    )
    assert (await ids(api, "/v1/resources?prefix=payments/dev/event-stream/s0"))[0] == [
        named(number) for number in (1, 2, 3, 5, 7, 9)
    ]
    assert (await ids(api, "/v1/resources?prefix=payments/prod/"))[0] == []
    everything = await ids(api, "/v1/resources")
    for query in ("team=payments", "team=payments&prefix=pay", "team=payments&prefix=payments/dev"):
        assert await ids(api, f"/v1/resources?{query}") == everything
    for query in ("team=pay", "team=billing", "team=billing&prefix=payments/"):
        assert (await ids(api, f"/v1/resources?{query}"))[0] == []
    assert (await api.get("/v1/resources?team=No!")).status == 400


async def test_facts_are_read_to_their_end_and_from_there_on(api: Api, platform: Platform) -> None:
    await api.post(event())  # takes a position, but is not a fact
    await platform.publish(*(fact_of(IntentAllowed, number) for number in range(5)))
    first, cursor = await ids(api, "/v1/facts?limit=2")
    await api.post(event(2))
    second, cursor = await ids(api, f"/v1/facts?limit=9&after={cursor}")
    assert [*first, *second] == [f"fact-{number}" for number in range(1, 6)]
    assert await ids(api, f"/v1/facts?after={cursor}") == ([], cursor)
    await platform.publish(fact_of(ResourceStuck))
    assert (await ids(api, f"/v1/facts?after={cursor}"))[0] == ["fact-6"]
    assert (await ids(api, "/v1/facts?after=now"))[0] == []


async def test_facts_are_filtered_by_resource_and_operation(api: Api, platform: Platform) -> None:
    await api.post(event())
    await platform.publish(
        fact_of(IntentAllowed, 1),
        fact_of(IntentAllowed, 2),
        fact_of(ResourceProvisioned, 2, resource=named(2)),
    )
    for target, found in {
        f"operation={operation_of(1)}": ["fact-1"],
        f"operation={operation_of(2)}": ["fact-2", "fact-3"],
        f"operation={operation_of(2)}&resource={named(2)}": ["fact-3"],
        f"resource={ORDERS}": ["fact-1", "fact-2"],
        "resource=unknown": [],
    }.items():
        for limit in (1, 100):
            seen, cursor = [], "0"
            while page := (await api.get(f"/v1/facts?{target}&limit={limit}&after={cursor}")).json:
                if not page["items"]:
                    break
                seen += [item["id"] for item in page["items"]]
                cursor = page["next"]
            assert seen == found, target


# -- news -----------------------------------------------------------------------------------------


async def waiting(api: Api, target: str, reads: Callable[[], int]) -> asyncio.Task[object]:
    """A request that has looked, found nothing, and waits."""
    before = reads()
    task: asyncio.Task[object] = asyncio.create_task(api.get(target))
    await eventually(lambda: reads() > before, what="the first look")
    assert not task.done()
    return task


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """The number of finished reads from the store."""
    count = 0
    until = Queries.until

    async def counting(reader: Queries, look: object, good: object, wait: float) -> object:
        async def counted() -> object:
            nonlocal count
            found = await look()  # type: ignore[operator] # as Queries.until has it
            count += 1
            return found

        return await until(reader, counted, good, wait)  # type: ignore[arg-type] # likewise

    monkeypatch.setattr(Queries, "until", counting)
    return lambda: count


async def test_a_caller_that_waits_for_an_operation_gets_its_end_immediately(
    api: Api, platform: Platform, reads: Callable[[], int]
) -> None:
    await api.post(event())
    task = await waiting(api, f"/v1/operations/{operation_of()}?wait=30", reads)
    await platform.publish(fact_of(IntentAllowed))
    await eventually(lambda: reads() > 1, what="another look")
    assert not task.done()  # it runs, it has not ended
    await platform.publish(fact_of(ResourceProvisioned))
    async with asyncio.timeout(5):
        reply = await task
    assert reply.json["status"] == "succeeded"  # type: ignore[attr-defined] # a Reply


async def test_a_caller_that_waits_for_facts_gets_the_next_one_immediately(
    api: Api, platform: Platform, reads: Callable[[], int]
) -> None:
    task = await waiting(api, f"/v1/facts?after=now&operation={operation_of(2)}&wait=30", reads)
    await platform.publish(fact_of(IntentAllowed, 1))
    await platform.publish(fact_of(IntentAllowed, 2))
    async with asyncio.timeout(5):
        reply = await task
    assert [item["id"] for item in reply.json["items"]] == ["fact-2"]  # type: ignore[attr-defined] # a Reply


async def test_waiting_ends_with_what_there_is(api: Api) -> None:
    await api.post(event())
    async with asyncio.timeout(5):
        reply = await api.get(f"/v1/operations/{operation_of()}?wait=0.05")
        assert reply.json["status"] == "received"
        assert (await api.get("/v1/facts?after=now&wait=0.05")).json["items"] == []


async def test_who_asks_for_what_has_ended_or_is_unknown_does_not_wait(
    api: Api, platform: Platform
) -> None:
    await platform.publish(fact_of(IntentDenied))
    async with asyncio.timeout(5):
        assert (await api.get(f"/v1/operations/{operation_of()}?wait=30")).status == 200
        assert (await api.get("/v1/operations/unknown?wait=30")).status == 404
