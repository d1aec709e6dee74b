"""Did it hold? What the stores, the bus, the world and the receiver say when all is quiet."""

import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from busbar.audit.domain import Published
from busbar.audit.handlers import completeness, records
from busbar.kernel.canonical import digest
from busbar.kernel.clock import format_time, parse_time
from busbar.messages import topics
from busbar.messages.base import Fact, OperationFact
from busbar.messages.notification import (
    SubscriptionTestRequested,
    WebhookDelivered,
    WebhookExhausted,
)
from busbar.messages.policy import IntentAllowed
from busbar.messages.resource import ResourceDeleted, ResourceFailed, ResourceProvisioned
from busbar.messages.views import OperationView, ResourceView, evolve_operation, evolve_resource
from busbar.notifier.handlers import WEBHOOK
from busbar.provisioner.handlers import SAGA
from busbar.runtime.core import encoding
from busbar.runtime.core.bus import Partition
from busbar.runtime.store import Store, StoredEvent
from busbar.runtime.store.schema import tables
from faults.answers import fact_in, judge_answers
from faults.bus import Broker
from faults.erased import judge_erasure
from faults.names import RESOURCE, STRANGER
from faults.report import Findings
from faults.scenarios import APPLIED, Asked
from faults.simulation import Simulation
from support.sql import run_sql

LAST = (ResourceProvisioned, ResourceDeleted, ResourceFailed)
WEBHOOKS = (ResourceProvisioned.TYPE, ResourceFailed.TYPE)
PAGE = 10_000


@dataclass(frozen=True, slots=True)
class PublishedFact:
    """A fact as some log has it."""

    id: str
    fact: Fact
    time: str
    topic: str


def judge(simulation: Simulation) -> Findings:
    """Look at everything; the simulation has to be quiet."""
    found = Findings()
    loop = simulation.loop
    found.stuck += simulation.deaths
    if loop.overrun:
        found.stuck.append("it did not come to an end")
    loop.counting, loop.on_await = False, None
    if set(simulation.stores) != set(simulation.services):
        found.stuck.append(f"only these services came up: {sorted(simulation.stores)}")
        return found
    loop.run_until_complete(_judge(simulation, found))
    return found


async def _judge(simulation: Simulation, found: Findings) -> None:
    stored = {name: await store.events(limit=PAGE) for name, store in simulation.stores.items()}
    asked = (*simulation.scenario.before, *simulation.scenario.asked)
    published = _published(simulation.broker)
    _operations(asked, stored, published, found)
    _epochs(stored["provisioner"], found)
    _effects(simulation, found)
    _webhooks(simulation, published, stored["notifier"], found)
    for name, store in simulation.stores.items():
        await _settled(name, store, simulation.broker, found)
        if not simulation.scenario.broken:
            await _given_up(name, store, found)
    await _copy(simulation, found)
    await _replay(simulation, stored, found)
    judge_answers(simulation, stored, found)
    await judge_erasure(simulation, stored, found)


# -- operations ---------------------------------------------------------------------------------


def _published(broker: Broker) -> list[PublishedFact]:
    """The facts on the bus, each as often as it was published."""
    published_facts = []
    for (topic, _), log in sorted(broker.logs.items()):
        if topic in topics.INTENTS:
            continue
        for record in log:
            envelope = encoding.read(record)
            if isinstance(envelope, Exception):
                continue
            fact = fact_in(envelope.type, envelope.data)
            if fact is not None:
                time = format_time(envelope.time) if envelope.time else ""
                published_facts.append(PublishedFact(envelope.id, fact, time, topic))
    return published_facts


def _operations(
    asked: Iterable[Asked],
    stored: dict[str, list[StoredEvent]],
    published: list[PublishedFact],
    found: Findings,
) -> None:
    """Each intent has one verdict and one last fact, in the store and on the bus."""
    recorded = [
        (event.id, fact)
        for name in ("policy", "provisioner")
        for event in stored[name]
        if event.topic is not None  # policy keeps the provisioner's last facts, unpublished
        and isinstance(fact := fact_in(event.type, json.loads(event.data)), OperationFact)
    ]
    on_the_bus = [(one.id, one.fact) for one in published if isinstance(one.fact, OperationFact)]
    for one in asked:
        _operation(one, "the store", recorded, found)
        _operation(one, "the bus", on_the_bus, found)


def _operation(
    asked: Asked, place: str, facts: Iterable[tuple[str, OperationFact]], found: Findings
) -> None:
    if asked.ends is None:
        return
    # The bus may have a fact twice, under one id: consumers know it by that.
    mine = {id_: fact for id_, fact in facts if str(fact.operation) == asked.operation}
    last = [fact for fact in mine.values() if isinstance(fact, LAST)]
    verdicts = [fact for fact in mine.values() if isinstance(fact, IntentAllowed)]
    for what, some in (("verdict", verdicts), ("end", last)):
        if not some:
            found.lost.append(f"{asked.id} has no {what} in {place}")
        if len(some) > 1:
            found.duplicated.append(f"{asked.id} has {len(some)} {what}s in {place}")
    found.lost += [
        f"{asked.id} ended as {fact.TYPE} in {place}, not as {asked.ends.TYPE}"
        for fact in last
        if not isinstance(fact, asked.ends)
    ]


def _epochs(events: list[StoredEvent], found: Findings) -> None:
    """Check that nothing is recorded under an expired lease: epochs only grow."""
    highest: dict[str, int] = defaultdict(int)
    for event in events:
        epoch = json.loads(event.data).get("epoch")
        if epoch is None:
            continue
        if epoch < highest[event.stream]:
            found.duplicated.append(
                f"{event.type} was recorded under epoch {epoch} after {highest[event.stream]}"
            )
        highest[event.stream] = max(highest[event.stream], epoch)


# -- the world ----------------------------------------------------------------------------------


def _effects(simulation: Simulation, found: Findings) -> None:
    """Each effect once, and only what was asked for is there."""
    outside = simulation.outside
    effects = [*outside.world.effects, *outside.shelf.effects]
    for key, times in Counter(effect.operation_key for effect in effects).items():
        if times > 1:
            found.duplicated.append(f"the effect {key} was carried out {times} times")
    for (owner, action), keys in _keys_of(effects):
        if len(keys) > 1 and not _changes(simulation):
            found.duplicated.append(f"{action} for {owner} was carried out {len(keys)} times")
    _things(simulation, found)
    found.lost += [f"{name}, which has another owner, was touched" for name in simulation.harmed()]


def _changes(simulation: Simulation) -> bool:
    """Return whether something is changed that was made before."""
    scenario = simulation.scenario
    return APPLIED in scenario.before or scenario.script is not None


def _things(simulation: Simulation, found: Findings) -> None:
    there: dict[str, list[Any]] = defaultdict(list)
    for name, thing in simulation.outside.world.things.items():
        if thing.owner != STRANGER:
            there[name].append(thing.inputs)
    # Whatever hangs is carried out in the end, whether it is observed or not.
    simulation.outside.act_late(math.inf)
    for name, thing in simulation.outside.tardy.things.items():
        there[name].append(thing.inputs)
    for item in simulation.outside.shelf.items:
        there[str(item.inputs["name"])].append(item.inputs)
    leaves = simulation.scenario.leaves
    for name, things in there.items():
        if len(things) > (name in leaves):
            found.leaked.append(f"{name} is there {len(things)} times")
    for name, inputs in leaves.items():
        if not there[name]:
            found.lost.append(f"{name} is not there")
        elif dict(inputs) != dict(there[name][0]):
            found.lost.append(f"{name} is there as {there[name][0]}")


def _keys_of(effects: Iterable[Any]) -> Iterator[tuple[tuple[str, str], set[str]]]:
    keys: dict[tuple[str, str], set[str]] = defaultdict(set)
    for effect in effects:
        keys[effect.owner, effect.action].add(effect.operation_key)
    yield from keys.items()


def _webhooks(
    simulation: Simulation,
    published: list[PublishedFact],
    events: list[StoredEvent],
    found: Findings,
) -> None:
    """Each fact that was subscribed to came to the receiver, and that is recorded once.

    A test event is sent once, so a lost request ends it as well; its one end is recorded.
    """
    tests = {one.id for one in published if isinstance(one.fact, SubscriptionTestRequested)}
    ends = Counter(
        json.loads(event.data)["event"]
        for event in events
        if event.type in {WebhookDelivered.TYPE, WebhookExhausted.TYPE}
    )
    found.stuck += [f"the test event {id_} has not ended" for id_ in sorted(tests - set(ends))]
    found.duplicated += [f"the test event {id_} ended twice" for id_ in tests if ends[id_] > 1]
    wanted = {
        published_facts.id for published_facts in published if published_facts.fact.TYPE in WEBHOOKS
    }
    received = set(simulation.outside.received)
    recorded = Counter(
        json.loads(event.data)["event"] for event in events if event.type == WebhookDelivered.TYPE
    )
    found.lost += [f"no webhook delivered {id_}" for id_ in sorted(wanted - received)]
    found.lost += [
        f"no fact says that {id_} was delivered" for id_ in sorted(wanted - set(recorded))
    ]
    found.duplicated += [
        f"{id_} was delivered without a subscription" for id_ in sorted(received - wanted - tests)
    ]
    found.duplicated += [f"{id_} was delivered {n} times" for id_, n in recorded.items() if n > 1]


# -- stores and bus -----------------------------------------------------------------------------


async def _settled(name: str, store: Store, broker: Broker, found: Findings) -> None:
    """Nothing waits: no work, no record, no event."""
    async with store.reading() as tx:
        due = await run_sql(
            tx,
            select(tables.tasks.c.kind, tables.tasks.c.name).where(
                tables.tasks.c.due.is_not(None), tables.tasks.c.kind.in_((SAGA, WEBHOOK))
            ),
        )
        found.stuck += [f"{name} still has to do {row.kind} {row.name}" for row in due]
        offsets = await tx.inbox.offsets(name)
        numbers = (await run_sql(tx, select(tables.sequences.c.sequence))).scalars().all()
        mark = await run_sql(
            tx, select(tables.checkpoints.c.value).where(tables.checkpoints.c.name == "published")
        )
        acknowledged = mark.scalar() or 0
        outgoing = await run_sql(
            tx,
            select(func.count())
            .select_from(tables.events)
            .where(tables.events.c.topic.is_not(None)),
        )
        count = outgoing.scalar()
    found.stuck += [
        f"{name} has read {place} to {offset} of {broker.end(place)}"
        for place, offset in offsets.items()
        if offset != broker.end(place)
    ]
    if sorted(numbers) != list(range(1, (count or 0) + 1)):
        found.lost.append(f"{name} numbered {len(numbers)} of {count} events")
    if acknowledged != len(numbers):
        found.stuck.append(f"{name} has published {acknowledged} of {len(numbers)} events")


async def _given_up(name: str, store: Store, found: Findings) -> None:
    """Nothing was given up."""
    async with store.reading() as tx:
        kept = await run_sql(tx, select(func.count()).select_from(tables.dead_letters))
    if dead_letters := kept.scalar():
        found.lost.append(f"{name} has {dead_letters} dead letters")


class _BusNow:
    """The bus as audit compares its copy with it."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    @asynccontextmanager
    async def reading(self) -> AsyncIterator["_BusNow"]:
        yield self

    @property
    def ends(self) -> dict[Partition, int]:
        return {place: self._broker.end(place) for place in self._broker.logs}

    async def batches(self) -> AsyncIterator[tuple[Partition, list[Published]]]:
        for place, log in self._broker.logs.items():
            batch = [
                Published(record.offset, hashlib.sha256(record.value or b"").hexdigest())
                for record in log
            ]
            if batch:
                yield place, batch


async def _copy(simulation: Simulation, found: Findings) -> None:
    report = await completeness(simulation.stores["audit"], _BusNow(simulation.broker))
    found.lost += [f"audit: {problem.kind}: {problem.detail}" for problem in report.problems]
    for relay in report.relays:
        async with simulation.stores[relay.relay].reading() as tx:
            newest = (await run_sql(tx, select(func.max(tables.sequences.c.sequence)))).scalar()
        if relay.head != newest:
            found.stuck.append(f"the head of {relay.relay} is {relay.head}, not {newest}")


# -- replay -------------------------------------------------------------------------------------

Views = dict[str, Any]


async def _replay(
    simulation: Simulation, stored: dict[str, list[StoredEvent]], found: Findings
) -> None:
    """Check that event stores and audit log give what the gateway shows."""
    live: Views = {}
    async with simulation.stores["gateway"].reading() as tx:
        for document in await tx.documents.find("operation", limit=PAGE):
            live[f"operation/{document.key}"] = document.value["view"]
        for document in await tx.documents.find("resource", limit=PAGE):
            live[f"resource/{document.key}"] = document.value
    own = [
        PublishedFact(event.id, fact, event.time, event.topic or "")
        for name in simulation.services
        if name not in {"gateway", "audit"}
        for event in stored[name]
        if event.topic is not None
        and (fact := fact_in(event.type, json.loads(event.data))) is not None
    ]
    copied = [
        PublishedFact(record.id, fact, _uniform(record.time), record.topic)
        async for record in records(simulation.stores["audit"])
        if (fact := fact_in(record.type, record.data)) is not None
    ]
    for source, published_facts in (("the event stores", own), ("the audit log", copied)):
        replayed = _fold(published_facts)
        if digest(live) != digest(replayed):
            other = sorted(k for k in live.keys() | replayed if live.get(k) != replayed.get(k))
            found.lost.append(f"replaying {source} gives another state of {other}")
    if f"resource/{RESOURCE}" not in live:
        found.lost.append(f"the gateway does not know {RESOURCE}")


def _uniform(time: str | None) -> str:
    return format_time(parse_time(time)) if time else ""


def _fold(published_facts: Iterable[PublishedFact]) -> Views:
    operations: dict[str, OperationView] = {}
    resources: dict[str, ResourceView] = {}
    seen: set[str] = set()
    for one in published_facts:
        if one.id in seen:
            continue
        seen.add(one.id)
        operation = getattr(one.fact, "operation", None)
        resource = getattr(one.fact, "resource", None)
        if operation is not None:
            view = evolve_operation(operations.get(str(operation)), one.fact, time=one.time)
            if view is not None:
                operations[str(operation)] = view
        if resource is not None and one.topic == topics.FACTS_RESOURCE:
            state = evolve_resource(resources.get(resource), one.fact, time=one.time)
            if state is not None:
                resources[resource] = state
    return {
        **{f"operation/{key}": view.model_dump(mode="json") for key, view in operations.items()},
        **{f"resource/{key}": view.model_dump(mode="json") for key, view in resources.items()},
    }
