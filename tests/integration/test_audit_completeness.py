"""Audit's report on a real broker: whole while it is, and naming what is not.

The topics are busbar's own, so these tests have a broker of their own.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from sqlalchemy import text

from busbar.audit.adapters import KafkaLog
from busbar.audit.domain import AuditRecord, Report
from busbar.audit.handlers import Audit, completeness, records
from busbar.cli.local.kafka import Broker, provide
from busbar.messages import topics
from busbar.runtime.consume.dead_letters import DeadLetters
from busbar.runtime.consume.engine import Engine
from busbar.runtime.core.bus import Outgoing
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.kafka.bus import KafkaBus
from busbar.runtime.kafka.reader import read_everything
from busbar.runtime.kafka.topics import ensure_topics
from busbar.runtime.outbox.relay import Relay
from busbar.runtime.store import Cause, Store, StoreTransaction, open_store
from support import eventually
from support.personal import no_personal_data
from support.runtime import (
    SOURCE,
    cipher,
    fact,
)
from support.sql import run_sql

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

CLOCK = SystemClock()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    java_home = os.environ.get("JAVA_HOME")  # noqa: TID251 - where the machine keeps its Java
    server = provide(
        tmp_path_factory.mktemp("audit-kafka"),
        retain=False,
        java_home=Path(java_home) if java_home else None,
    )
    yield server
    server.stop()


class Producer:
    """A minimal service: a store and a relay."""

    def __init__(self, store: Store, bus: KafkaBus) -> None:
        self.store, self.bus = store, bus
        self.relay = Relay(store, bus, clock=CLOCK, holder=f"{store.service}-1", lease=30)
        self._numbers = count(1)

    async def publish(self, events: int) -> None:
        """Append events under different keys, and relay them with their head."""

        async def body(tx: StoreTransaction) -> None:
            for _ in range(events):
                number = next(self._numbers)
                key = f"payments/k{number}"
                tx.caused_by(Cause(SOURCE, f"{self.store.service}-{number}", "c"))
                await tx.append(key, [fact(number)], key=key)

        await self.store.transact(body)
        while await self.relay.step():
            pass


@dataclass
class Platform:
    """Two relays, audit, and the bus between them."""

    bootstrap: str
    policy: Producer
    notifier: Producer
    audit: Store

    async def report(self) -> Report:
        return await completeness(self.audit, KafkaLog(self.bootstrap))

    async def log(self) -> list[AuditRecord]:
        return [record async for record in records(self.audit)]

    async def caught_up(self) -> None:
        """Return when the audit log has as many records as the bus."""

        async def whole() -> bool:
            bus = [r async for r in read_everything(self.bootstrap, topics.ALL)]
            return await self.audit.last_position() >= len(bus)

        await eventually(whole, within=60, every=0.2, what="a complete audit log")

    async def sql(self, statement: str, **values: object) -> None:
        async def body(tx: StoreTransaction) -> None:
            assert (await run_sql(tx, text(statement), values)).rowcount == 1

        await self.audit.transact(body)


@asynccontextmanager
async def producer(folder: Path, service: str, bootstrap: str) -> AsyncIterator[Producer]:
    store = await open_store(folder / f"{service}.db", service=service, clock=CLOCK)
    bus = KafkaBus(bootstrap, service=service)
    await bus.start()
    try:
        yield Producer(store, bus)
    finally:
        await bus.stop()
        await store.close()


@asynccontextmanager
async def auditing(folder: Path, bootstrap: str) -> AsyncIterator[Store]:
    store = await open_store(folder / "audit.db", service="audit", clock=CLOCK)
    service = Audit(cipher(), no_personal_data()).service()
    engine = Engine(service, store, DeadLetters("audit", cipher()), clock=CLOCK, attempts=3)
    bus = KafkaBus(bootstrap, service="audit")
    bus.subscribe(service.topics, engine)
    await bus.start()
    await bus.consume()
    try:
        yield store
    finally:
        await bus.stop()
        await store.close()


@pytest.fixture
async def platform(broker: Broker, tmp_path: Path) -> AsyncIterator[Platform]:
    bootstrap = broker.bootstrap
    await ensure_topics(bootstrap)
    async with (
        producer(tmp_path, "policy", bootstrap) as policy,
        producer(tmp_path, "notifier", bootstrap) as notifier,
        auditing(tmp_path, bootstrap) as audit,
    ):
        yield Platform(bootstrap, policy, notifier, audit)


async def test_the_report_is_whole_until_something_is_gone_and_then_names_it(
    platform: Platform,
) -> None:
    await platform.policy.publish(60)
    await platform.notifier.publish(40)
    await nonsense(platform)
    await platform.caught_up()
    report = await platform.report()
    assert report.complete, report.problems
    stored = {relay.relay: relay.stored for relay in report.relays}
    assert stored == {"policy": 60, "notifier": 40}
    assert report.compared == 60 + 40 + 2 + 1  # events, heads and the unreadable record

    await while_records_keep_arriving(platform)
    await a_record_is_gone_from_the_log(platform)
    await a_record_is_gone_from_the_bus(platform)
    await a_payload_is_changed(platform)


async def nonsense(platform: Platform) -> None:
    """Publish a record that is not an event."""
    record = Outgoing(topic=topics.INTENTS_RESOURCE, key=None, value=b"nonsense", headers=[])
    await platform.policy.bus.publish([record])


async def while_records_keep_arriving(platform: Platform) -> None:
    """Recent records are not reported missing while the bus is busy."""
    done = asyncio.Event()

    async def busy() -> int:
        rounds = 0
        while not done.is_set():
            await platform.policy.publish(20)
            rounds += 1
        return rounds

    arriving = asyncio.create_task(busy())
    try:
        reports = [await platform.report() for _ in range(4)]
    finally:
        done.set()
        rounds = await arriving
    assert rounds > 3
    assert [report.problems for report in reports] == [()] * 4
    assert reports[0].compared < reports[-1].compared
    await platform.caught_up()


async def a_record_is_gone_from_the_log(platform: Platform) -> None:
    gone = next(
        record
        for record in await platform.log()
        if (record.relay, record.sequence) == ("policy", 33)
    )
    await platform.sql("delete from events where position = :p", p=gone.cursor)
    problems = {problem.kind: problem for problem in (await platform.report()).problems}
    assert problems.keys() == {"sequence_gap", "missing_in_store"}
    assert problems["sequence_gap"].about == {"relay": "policy", "first": 33, "last": 33}
    assert problems["missing_in_store"].about == {
        "topic": gone.topic,
        "partition": gone.partition,
        "first": gone.offset,
        "last": gone.offset,
    }
    place = f"{gone.topic}, partition {gone.partition}, offset {gone.offset}:"
    assert problems["missing_in_store"].detail.startswith(place)


async def a_record_is_gone_from_the_bus(platform: Platform) -> None:
    log = await platform.log()
    first = next(record for record in log if record.topic == topics.FACTS_NOTIFICATION)
    assert first.offset == 0
    admin = AIOKafkaAdminClient(bootstrap_servers=platform.bootstrap)
    await admin.start()
    try:
        partition = TopicPartition(first.topic, first.partition)
        await admin.delete_records({partition: RecordsToDelete(before_offset=1)})
    finally:
        await admin.close()
    problems = (await platform.report()).problems
    (lost,) = [problem for problem in problems if problem.kind == "missing_in_kafka"]
    assert lost.about == {"topic": first.topic, "partition": first.partition, "first": 0, "last": 0}


async def a_payload_is_changed(platform: Platform) -> None:
    changed = next(
        record
        for record in await platform.log()
        if (record.relay, record.sequence) == ("notifier", 7)
    )
    await platform.sql(
        "update events set data = replace(data, 'payments/s7', 'payments/s8') where position = :p",
        p=changed.cursor,
    )
    problems = (await platform.report()).problems
    (differs,) = [problem for problem in problems if problem.kind == "digest_differs"]
    assert differs.about == {"relay": "notifier"}
    assert "notifier's events 1 to 40" in differs.detail
