"""Is the copy complete: the comparison itself, and the report over a real store."""

from collections import deque
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from busbar.audit.domain import (
    ChainCheck,
    Discrepancy,
    Head,
    PartitionComparison,
    Problems,
    Published,
    Stored,
)
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


def chained(*numbers: int, head: int = 3, displaced: Mapping[int, str] = {}) -> ChainCheck:
    """A check of a relay that published events up to ``head``, after it took ``numbers``."""
    link = ""
    for number in range(1, head + 1):
        link += f"/{number}"
    check = ChainCheck(
        Head("policy", head, link), genesis="", link="{}/{}".format, displaced=displaced
    )
    for number in numbers:
        check.take(number, str(number))
    return check


def problems_of(check: ChainCheck) -> list[tuple[str, str]]:
    problems = Problems()
    check.report(problems)
    return [(problem.kind, problem.detail) for problem in problems.listed]


def test_a_whole_sequence_is_complete() -> None:
    problems = Problems()
    report = chained(1, 2, 3).report(problems)
    assert (report.stored, report.missing, report.digest_matches) == (3, (), True)
    assert problems.listed == []


@pytest.mark.parametrize(
    ("numbers", "kind", "named"),
    [
        ((1, 3), "sequence_gap", "policy published event 2,"),
        ((1,), "sequence_gap", "policy published events 2 to 3,"),
        ((), "sequence_gap", "events 1 to 3,"),
    ],
)
def test_a_gap_is_named(numbers: tuple[int, ...], kind: str, named: str) -> None:
    ((found, detail),) = problems_of(chained(*numbers))
    assert (found, named in detail) == (kind, True), detail


def test_an_event_that_differs_makes_another_digest() -> None:
    check = chained(1, 2)
    check.take(3, "changed")
    ((kind, detail),) = problems_of(check)
    assert (kind, "policy's events 1 to 3" in detail) == ("digest_differs", True)


def test_events_past_the_head_are_not_missed() -> None:
    assert problems_of(chained(1, 2, 3, 5)) == []


def test_an_event_that_was_published_again_counts_once() -> None:
    check = chained(1, 2, 2, 1, 2, 3, 3)
    assert (problems_of(check), check.stored, check.late) == ([], 3, {})


def test_an_event_that_comes_late_is_taken_in_its_place_by_a_second_check() -> None:
    check = chained(1, 3, 2)
    assert check.late == {2: "2"}
    assert problems_of(chained(1, 3, 2, displaced=check.late)) == []
    last = chained(1, 2, displaced={3: "3"})
    assert problems_of(last) == []


@given(st.integers(0, 60), st.sets(st.integers(1, 80)))
def test_the_gaps_are_exactly_what_is_not_there(head: int, stored: set[int]) -> None:
    report = chained(*sorted(stored), head=head).report(Problems())
    numbers = [number for first, last in report.missing for number in range(first, last + 1)]
    assert numbers == sorted(set(range(1, head + 1)) - stored)
    assert all(after[0] > before[1] + 1 for before, after in pairwise(report.missing))
    assert report.stored == len({number for number in stored if number <= head})


def compared(
    published: dict[int, str],
    stored: dict[int, str],
    *,
    expires: bool = False,
    batch: int = 2,
    late: frozenset[int] = frozenset(),
) -> list[tuple[str, int, int]]:
    """The problems of one partition; ``late`` are offsets that were stored after the others."""
    problems = Problems()
    comparison = PartitionComparison(T, 0, expires=expires, problems=problems)
    order = [offset for offset in sorted(stored) if offset not in late] + sorted(late)
    rest = [Stored(offset, stored[offset], early=True) for offset in order]
    rows: deque[Stored] = deque()

    def more() -> bool:
        rows.extend(rest[:batch])
        del rest[:batch]
        return bool(rows)

    everything = [Published(offset, digest) for offset, digest in sorted(published.items())]
    for first in range(0, len(everything), batch):
        part = everything[first : first + batch]
        done = 0
        while done < len(part):
            done += comparison.take(part[done:], rows)
            if done < len(part) and not more():
                for one in part[done:]:
                    comparison.lack(one)
                done = len(part)
        comparison.resolve({at: stored[at] for at in comparison.absent if at in stored})
    while rows or more():
        comparison.finish(rows)
    comparison.close()
    assert comparison.compared == len(published)
    assert not problems.more
    return [
        (problem.kind, int(problem.about["first"]), int(problem.about["last"]))
        for problem in problems.listed
    ]


def test_what_only_one_side_has_is_named_and_so_is_what_differs() -> None:
    both = {0: "a", 1: "b"}
    assert compared(both, both) == []
    assert compared(both, {0: "a"}) == [("missing_in_store", 1, 1)]
    assert compared({0: "a"}, both) == [("missing_in_kafka", 1, 1)]
    assert compared({0: "a", 1: "x"}, both) == [("value_differs", 1, 1)]


def test_a_topic_with_a_retention_may_forget_but_not_change() -> None:
    assert compared({1: "b"}, {0: "a", 1: "b", 2: "c"}, expires=True) == []
    assert compared({1: "x"}, {0: "a", 1: "b"}, expires=True) == [("value_differs", 1, 1)]


def test_offsets_that_follow_one_another_are_one_problem() -> None:
    published = dict.fromkeys(range(10), "a")
    assert compared(published, {}) == [("missing_in_store", 0, 9)]
    assert compared({}, published) == [("missing_in_kafka", 0, 9)]
    stored = {offset: "a" for offset in published if offset not in {3, 4, 7}}
    assert compared(published, stored) == [
        ("missing_in_store", 3, 4),
        ("missing_in_store", 7, 7),
    ]


def test_a_range_is_named_with_its_ends() -> None:
    problems = Problems()
    comparison = PartitionComparison(T, 4, expires=False, problems=problems)
    for offset in (5, 6):
        comparison.lack(Published(offset, "a"))
    comparison.resolve({})
    comparison.close()
    (problem,) = problems.listed
    assert problem.detail == (
        f"{T}, partition 4, offsets 5 to 6: Kafka has them, the copy does not"
    )


def test_a_record_that_was_stored_later_than_its_successors_is_not_missing() -> None:
    every = {offset: str(offset) for offset in range(8)}
    for batch in (1, 2, 3, 8):
        assert compared(every, every, late=frozenset({1, 2, 6}), batch=batch) == []
        changed = {**every, 2: "changed"}
        found = compared(every, changed, late=frozenset({1, 2, 6}), batch=batch)
        assert found == [("value_differs", 2, 2)]
        gone = {offset: value for offset, value in every.items() if offset != 2}
        found = compared(gone, every, late=frozenset({1, 2, 6}), batch=batch)
        assert found == [("missing_in_kafka", 2, 2)]


_SIDE = st.dictionaries(st.integers(0, 30), st.sampled_from("ab"), max_size=25)


@given(_SIDE, _SIDE, st.integers(1, 7), st.data())
def test_the_comparison_finds_exactly_what_differs(
    published: dict[int, str], stored: dict[int, str], batch: int, data: st.DataObject
) -> None:
    late = frozenset(data.draw(st.sets(st.sampled_from(sorted(stored))))) if stored else frozenset()
    found = {
        (kind, offset)
        for kind, first, last in compared(published, stored, batch=batch, late=late)
        for offset in range(first, last + 1)
    }
    assert found == {
        *(("missing_in_store", offset) for offset in published.keys() - stored.keys()),
        *(("missing_in_kafka", offset) for offset in stored.keys() - published.keys()),
        *(
            ("value_differs", offset)
            for offset in published.keys() & stored.keys()
            if published[offset] != stored[offset]
        ),
    }


def test_a_report_names_a_limited_number_of_problems_and_counts_the_others() -> None:
    problems = Problems(most=2)
    for number in range(5):
        problems.add(Discrepancy("value_differs", str(number)))
    assert [problem.detail for problem in problems.listed] == ["0", "1"]
    assert problems.more == 3


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
            "first": gone.offset,
            "last": gone.offset,
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
        "first": gone.offset,
        "last": gone.offset,
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
    batches = bus.batches
    number = 6

    async def busy() -> Any:
        """Between any two steps of the report something is published, and read or not yet."""
        nonlocal number
        async for found in batches():
            yield found
            number += 1
            bus.message(fact(number), f"n-{number}", relay="notifier", partition=number % 3)
            head = bus.head("notifier")
            if number % 2:
                await bus.consume(*bus.records)
            assert head

    bus.batches = busy  # type: ignore[method-assign] # the bus of this test is busy
    found = await completeness(store, bus)
    assert found.complete, found.problems
    assert number > 8


async def test_what_the_consumer_has_not_read_yet_is_waited_for(bus: Bus, store: Store) -> None:
    await fill(bus)
    bus.message(fact(7), "n-7", relay="notifier")
    bus.head("notifier")
    sleep = bus.clock.sleep

    async def catching_up(seconds: float) -> None:
        await sleep(seconds)
        await bus.consume(*bus.records)

    bus.clock.sleep = catching_up  # type: ignore[method-assign] # the consumer goes on meanwhile
    found = await completeness(store, bus)
    assert found.complete, found.problems
    assert found.compared == len(bus.records)


async def test_a_head_that_overtakes_its_events_does_not_make_them_missing(
    bus: Bus, store: Store
) -> None:
    await fill(bus)
    batches = bus.batches

    async def overtaken() -> Any:
        async for found in batches():
            yield found
        bus.message(fact(7), "n-7", relay="notifier")  # still to be read, on another partition
        await bus.consume(bus.head("notifier"))

    bus.batches = overtaken  # type: ignore[method-assign] # something happens during the report
    found = await completeness(store, bus)
    assert found.complete, found.problems
