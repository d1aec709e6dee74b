"""Is the copy complete: the comparison itself, and the report over a real store."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from busbar.audit.domain import Head, Report, compare
from busbar.audit.domain.completeness import gaps
from busbar.audit.handlers import completeness
from busbar.messages import topics
from busbar.messages.delivery import HeadPublished
from busbar.messages.envelope import Envelope
from busbar.messages.resource import ApplyResource, ResourceQueued
from busbar.runtime.outbox.events import GENESIS, chain
from busbar.runtime.store import Store, StoreTransaction
from support.runtime import (
    fact,
)
from support.sql import run_sql
from unit.audit.conftest import SOURCE, Bus

T, OLD = "busbar.facts.policy", "busbar.intents.resource"
WHOLE: dict[str, Any] = {
    "heads": [Head("policy", 3, "d3")],
    "sequences": {"policy": [1, 2, 3]},
    "digests": {("policy", 3): "d3"},
    "stored": {(T, 0, 0): "a", (T, 0, 1): "b"},
    "published": {(T, 0, 0): "a", (T, 0, 1): "b"},
    "expiring": [OLD],
}


def report(**changed: Any) -> Report:
    return compare(**{**WHOLE, **changed})


def test_a_whole_copy_is_complete() -> None:
    found = report()
    assert found.complete
    assert (found.compared, [relay.stored for relay in found.relays]) == (2, [3])


@pytest.mark.parametrize(
    ("changed", "kind", "named"),
    [
        ({"sequences": {"policy": [1, 3]}}, "sequence_gap", "policy published event 2,"),
        ({"sequences": {"policy": [1]}}, "sequence_gap", "policy published events 2 to 3,"),
        ({"sequences": {}}, "sequence_gap", "events 1 to 3,"),
        ({"digests": {("policy", 3): "other"}}, "digest_differs", "policy's events 1 to 3"),
        ({"digests": {}}, "digest_differs", "policy's events 1 to 3"),
        ({"stored": {(T, 0, 0): "a"}}, "missing_in_store", f"{T}, partition 0, offset 1:"),
        ({"published": {(T, 0, 0): "a"}}, "missing_in_kafka", f"{T}, partition 0, offset 1:"),
        (
            {"published": {(T, 0, 0): "a", (T, 0, 1): "x"}},
            "value_differs",
            f"{T}, partition 0, offset 1:",
        ),
    ],
)
def test_what_is_wrong_is_named(changed: dict[str, Any], kind: str, named: str) -> None:
    (problem,) = report(**changed).problems
    assert (problem.kind, named in problem.detail) == (kind, True), problem


def test_only_topics_with_a_retention_may_forget() -> None:
    stored = {(OLD, 0, 0): "a", (T, 0, 0): "a", (T, 0, 1): "b"}
    assert report(stored=stored).complete
    (problem,) = report(stored=stored, expiring=[]).problems
    assert problem.about == {"topic": OLD, "partition": 0, "offset": 0}
    published = {**WHOLE["published"], (OLD, 0, 0): "changed"}
    assert [found.kind for found in report(stored=stored, published=published).problems] == [
        "value_differs"
    ]


def test_every_problem_is_reported_not_just_the_first() -> None:
    found = report(
        heads=[Head("policy", 3, "d3"), Head("notifier", 1, "n1")],
        sequences={"policy": [2], "notifier": [1]},
        stored={(T, 0, 0): "x", (T, 1, 0): "y"},
    )
    assert [problem.kind for problem in found.problems] == [
        "digest_differs",
        "sequence_gap",
        "sequence_gap",
        "missing_in_store",
        "missing_in_kafka",
        "value_differs",
    ]


def test_events_past_the_head_are_not_missed() -> None:
    assert report(sequences={"policy": [1, 2, 3, 5]}).complete


@given(st.integers(0, 60), st.sets(st.integers(1, 80)))
def test_the_holes_are_exactly_what_is_not_there(head: int, stored: set[int]) -> None:
    found = gaps(stored, head)
    numbers = [number for first, last in found for number in range(first, last + 1)]
    assert numbers == sorted(set(range(1, head + 1)) - stored)
    assert all(first <= last for first, last in found)
    assert all(after[0] > before[1] + 1 for before, after in pairwise(found))


# -- over a real store ----------------------------------------------------------------------------


async def fill(bus: Bus, count: int = 6) -> None:
    """Events of two relays over several partitions, intents, and unreadable records."""
    bus.message(ApplyResource.model_validate(ApplyResource.EXAMPLES[0]), "intent-1")
    for number in range(1, count + 1):
        bus.message(fact(number), f"n-{number}", relay="notifier", partition=number % 3)
    queued = ResourceQueued.model_validate(ResourceQueued.EXAMPLES[0])
    bus.message(queued, "p-1", relay="provisioner")
    bus.raw(topics.FACTS_POLICY, b"nonsense")
    bus.raw(topics.FACTS_POLICY, None)
    bus.head("notifier")
    bus.head("provisioner")
    await bus.consume()


async def sql(store: Store, statement: str, **values: object) -> int:
    async def body(tx: StoreTransaction) -> int:
        return int((await run_sql(tx, text(statement), values)).rowcount)

    return await store.transact(body)


async def test_what_was_read_to_its_end_is_complete(bus: Bus, store: Store) -> None:
    await fill(bus)
    found = await completeness(store, bus)
    assert found.complete, found.problems
    assert {relay.relay: relay.stored for relay in found.relays} == {
        "notifier": 6,
        "provisioner": 1,
    }
    assert found.compared == len(bus.records)


async def test_a_record_that_is_gone_from_the_copy_is_named_twice(bus: Bus, store: Store) -> None:
    await fill(bus)
    gone = next(record for record in await bus.copy() if record.id == "n-4")
    assert await sql(store, "delete from events where position = :p", p=gone.cursor) == 1
    problems = (await completeness(store, bus)).problems
    assert {problem.kind: dict(problem.about) for problem in problems} == {
        "sequence_gap": {"relay": "notifier", "first": 4, "last": 4},
        "missing_in_store": {
            "topic": gone.topic,
            "partition": gone.partition,
            "offset": gone.offset,
        },
    }


async def test_a_record_that_is_gone_from_the_bus_is_named(bus: Bus, store: Store) -> None:
    await fill(bus)
    gone = bus.records.pop(3)
    intent = bus.records.pop(0)
    assert intent.topic in topics.INTENTS  # may be forgotten
    (problem,) = (await completeness(store, bus)).problems
    assert problem.kind == "missing_in_kafka"
    assert problem.about == {
        "topic": gone.topic,
        "partition": gone.partition,
        "offset": gone.offset,
    }


@pytest.mark.parametrize(
    "change",
    [
        "update events set data = replace(data, 'payments/s2', 'payments/s9') where type like :t",
        "update events set type = type || 'x' where metadata like '%\"n-2\"%' and :t != ''",
        "update events set metadata = replace(metadata, '\"n-2\"', '\"n-X\"') where :t != ''",
    ],
)
async def test_a_changed_copy_does_not_give_the_promised_digest(
    bus: Bus, store: Store, change: str
) -> None:
    await fill(bus)
    assert await sql(store, change, t="%unsubscribed%")
    (problem,) = (await completeness(store, bus)).problems
    assert (problem.kind, problem.about) == ("digest_differs", {"relay": "notifier"})


async def test_an_event_that_a_relay_skipped_is_missed(bus: Bus, store: Store) -> None:
    await fill(bus)
    bus.message(fact(7), "n-7", relay="notifier")
    lost = bus.records.pop()  # it never was on the bus
    bus.head("notifier")
    await bus.consume(*bus.records[-1:])
    (problem,) = (await completeness(store, bus)).problems
    assert problem.about == {"relay": "notifier", "first": 7, "last": 7}
    assert lost not in bus.records


async def test_an_event_that_was_published_twice_is_not_a_problem(bus: Bus, store: Store) -> None:
    await fill(bus)
    again = next(record for record in bus.records if record.topic == topics.FACTS_NOTIFICATION)
    await bus.consume(bus.raw(again.topic, again.value, key=again.key, headers=again.headers))
    assert (await completeness(store, bus)).complete


async def test_a_producer_cannot_make_a_relay_look_broken(bus: Bus, store: Store) -> None:
    for source in (SOURCE, "/busbar/notifier"):
        forged = Envelope(
            id=f"forged by {source}",
            source=source,
            type=ApplyResource.TYPE,
            extensions={"relay": "notifier", "sequence": f"{1:020d}"},
            data=ApplyResource.EXAMPLES[0],
        )
        bus.event(forged, ApplyResource.TOPIC)
    await bus.consume()
    await fill(bus)
    assert (await completeness(store, bus)).complete


async def test_the_intents_that_the_gateway_passes_on_are_counted(bus: Bus, store: Store) -> None:
    link = GENESIS
    for number in (1, 2):
        id_, data = f"intent-{number}", ApplyResource.EXAMPLES[0]
        link = chain(link, SOURCE, id_, ApplyResource.TYPE, data)
        extensions = {"relay": "gateway", "sequence": f"{number:020d}"}
        envelope = Envelope(
            id=id_, source=SOURCE, type=ApplyResource.TYPE, extensions=extensions, data=data
        )
        bus.event(envelope, ApplyResource.TOPIC, partition=number)
    bus.message(HeadPublished(relay="gateway", sequence=2, count=2, digest=link), "head")
    await bus.consume()
    found = await completeness(store, bus)
    assert found.complete, found.problems
    assert [(relay.relay, relay.stored) for relay in found.relays] == [("gateway", 2)]


async def test_a_consumer_that_lags_is_waited_for_and_then_reported(bus: Bus, store: Store) -> None:
    await fill(bus)
    late = bus.message(fact(7), "n-7", relay="notifier")
    found = await completeness(store, bus)
    assert [problem.kind for problem in found.problems] == ["missing_in_store"]
    assert sum(bus.clock.slept) == pytest.approx(5)
    await bus.consume(late)
    assert (await completeness(store, bus)).complete


async def test_what_arrives_while_the_report_is_made_is_never_called_missing(
    bus: Bus, store: Store
) -> None:
    await fill(bus)
    places = bus.places
    number = 6

    async def busy() -> Any:
        """Between any two steps of the report something is published, and read or not yet."""
        nonlocal number
        async for found in places():
            yield found
            number += 1
            bus.message(fact(number), f"n-{number}", relay="notifier", partition=number % 3)
            head = bus.head("notifier")
            if number % 2:
                await bus.consume(*bus.records)
            assert head
            if number > 40:
                break

    bus.places = busy  # type: ignore[method-assign] # the bus of this test is busy
    sleep = bus.clock.sleep

    async def catching_up(seconds: float) -> None:
        await sleep(seconds)
        await bus.consume(*bus.records)

    bus.clock.sleep = catching_up  # type: ignore[method-assign] # the consumer goes on meanwhile
    found = await completeness(store, bus)
    assert found.complete, found.problems


async def test_a_head_that_overtakes_its_events_does_not_make_them_missing(
    bus: Bus, store: Store
) -> None:
    await fill(bus)
    places = bus.places

    async def overtaken() -> Any:
        async for found in places():
            yield found
        bus.message(fact(7), "n-7", relay="notifier")  # still to be read, on another partition
        await bus.consume(bus.head("notifier"))

    bus.places = overtaken  # type: ignore[method-assign] # something happens during the report
    found = await completeness(store, bus)
    assert found.complete, found.problems
