"""The runtime on a real broker: Kafka's records, the store's offsets."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from busbar.cli.local.kafka import KafkaServer, provide
from busbar.messages import topics
from busbar.messages.codec import kafka as codec
from busbar.messages.envelope import Envelope
from busbar.messages.notification import Unsubscribed
from busbar.runtime.core.bus import BusUnavailable, Partition, Record
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.kafka.bus import KafkaBus
from busbar.runtime.kafka.reader import read_everything
from busbar.runtime.kafka.topics import ensure_topics
from busbar.runtime.outbox.relay import Relay
from busbar.runtime.store import Store, open_store
from support import eventually
from support.runtime import (
    Toy,
    append,
    record,
    relaying,
)

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

Topics = Callable[..., Awaitable[str]]
PARTITIONS = 3
NOISE = random.Random(7).randbytes(900_000)
"""Random bytes, which compression does not shorten."""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(tmp_path / "policy.db", service="policy", clock=SystemClock())
    yield opened
    await opened.close()


class Line:
    """A service between its own two topics: intents in, facts out."""

    def __init__(self, bootstrap: str, store: Store, intents: str, facts: str) -> None:
        self.bootstrap = bootstrap
        self.intents = intents
        self.facts = facts
        self.name = f"t{secrets.token_hex(4)}"
        self.toy = Toy(store, SystemClock(), asked_on=intents, topic=facts)
        self.bus: KafkaBus | None = None
        self.relay: Relay | None = None

    @property
    def group(self) -> str:
        return f"busbar.{self.name}"

    @asynccontextmanager
    async def running(self, consumer: Any = None) -> AsyncIterator[KafkaBus]:
        """Run the service's process once."""
        bus = self.bus = KafkaBus(self.bootstrap, service=self.name, batch_records=7)
        bus.subscribe([self.intents], consumer or self.toy.restarted())
        # A restart waits for the lease of the previous process to end, so it is short.
        relay = self.relay = Relay(
            self.toy.store, bus, clock=SystemClock(), holder=secrets.token_hex(4), lease=0.5
        )
        await bus.start()
        async with relaying(relay):
            try:
                await bus.consume()
                yield bus
            finally:
                await bus.stop()

    async def send(self, *found: Record) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, enable_idempotence=True)
        await producer.start()
        try:
            for item in found:
                await producer.send_and_wait(
                    self.intents,
                    item.value,
                    key=item.key,
                    partition=item.partition,
                    headers=list(item.headers),
                )
        finally:
            await producer.stop()

    async def intend(self, *numbers: int) -> None:
        await self.send(*(record(number, partition=number % PARTITIONS) for number in numbers))

    async def done(self, *numbers: int) -> None:
        """Return when exactly these records were handled."""

        async def check() -> bool:
            return sorted(await self.toy.done()) == sorted(numbers)

        await eventually(check, within=30, what=f"handling {numbers}")

    async def published(self) -> list[Envelope]:
        return [
            codec.read(item.headers, item.value, item.key)
            async for item in read_everything(self.bootstrap, [self.facts])
        ]

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Move the offsets that Kafka keeps for the group, as an operator could."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, group_id=self.group, enable_auto_commit=False
        )
        await consumer.start()
        try:
            partitions = {TopicPartition(*place): offset for place, offset in offsets.items()}
            consumer.assign(list(partitions))
            await consumer.commit(partitions)
        finally:
            await consumer.stop()


@pytest.fixture
async def line(kafka: Any, topic: Topics, store: Store) -> Line:
    await ensure_topics(kafka.bootstrap)
    intents = await topic(partitions=PARTITIONS, prefix="in-")
    return Line(kafka.bootstrap, store, intents, await topic(partitions=1, prefix="out-"))


async def test_intents_become_facts_on_the_bus_in_order_and_once(line: Line) -> None:
    await line.intend(*range(20))
    async with line.running():
        await line.intend(*range(20, 30))
        await line.done(*range(30))
        await eventually(lambda: _count(line, 30), within=30)
    facts = await line.published()
    assert [int(fact.extensions["sequence"]) for fact in facts] == list(range(1, 31))
    assert {fact.type for fact in facts} == {Unsubscribed.TYPE}
    for partition in range(PARTITIONS):
        mine = [n for n in await line.toy.done() if n % PARTITIONS == partition]
        assert mine == sorted(mine)


async def _count(line: Line, number: int) -> bool:
    return len(await line.published()) >= number


@pytest.mark.parametrize("kafka_says", ["the committed offset", "zero", "the end"])
async def test_a_restart_continues_at_the_stored_offsets_not_at_those_in_kafka(
    line: Line, kafka_says: str
) -> None:
    async with line.running():
        await line.intend(*range(9))
        await line.done(*range(9))
    await line.intend(*range(9, 15))
    places = {(line.intents, partition): 0 for partition in range(PARTITIONS)}
    if kafka_says == "zero":
        await line.commit(places)
    if kafka_says == "the end":
        await line.commit(dict.fromkeys(places, 5))
    async with line.running():
        await line.intend(15)
        await line.done(*range(16))
    assert len(line.toy.handled) == 16


async def committed(line: Line) -> dict[Partition, int]:
    """Return the offsets that Kafka has for the group, as its tools show them."""
    admin = AIOKafkaAdminClient(bootstrap_servers=line.bootstrap)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(line.group)
    finally:
        await admin.close()
    return {(place.topic, place.partition): one.offset for place, one in found.items()}


async def test_stored_offsets_are_committed_to_kafka_for_its_tools(line: Line) -> None:
    await line.intend(*range(9))
    async with line.running():
        await line.done(*range(9))

        async def level() -> bool:
            return await committed(line) == await line.toy.offsets()

        await eventually(level, what="Kafka's own offsets")
        await line.intend(9, 10, 11)
        await line.done(*range(12))
    assert await committed(line) == await line.toy.offsets()  # the last are committed on stop


async def test_offsets_that_a_killed_process_did_not_commit_are_committed_by_the_next(
    line: Line,
) -> None:
    await line.intend(*range(9))
    async with line.running():
        await line.done(*range(9))
    await line.commit(dict.fromkeys(await line.toy.offsets(), 1))
    async with line.running():

        async def level() -> bool:
            return await committed(line) == await line.toy.offsets()

        await eventually(level, what="Kafka's own offsets")


async def test_a_restart_continues_at_the_stored_offsets_when_kafka_has_forgotten_the_group(
    line: Line,
) -> None:
    async with line.running():
        await line.intend(*range(9))
        await line.done(*range(9))
    line.name = f"t{secrets.token_hex(4)}"  # to Kafka a group that it has never seen
    async with line.running():
        await line.intend(*range(9, 12))
        await line.done(*range(12))
    assert len(line.toy.handled) == 12


class Slow:
    """An engine whose store is slow to return the positions."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._engine = line.toy.restarted()
        self.early: list[int] = []
        self._placed = False

    async def handle_batch(self, records: Sequence[Record]) -> None:
        if not self._placed:
            self.early.extend(item.offset for item in records)
        await self._engine.handle_batch(records)

    async def positions(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        # Long enough for a consumer that does not wait to fetch from Kafka's committed offset.
        assert self._line.bus is not None
        consumer = self._line.bus._subscriber.consumer
        for _ in range(3):
            for place in partitions:
                await consumer.committed(TopicPartition(*place))
                await consumer.end_offsets([TopicPartition(*place)])
        found = await self._engine.positions(partitions)
        self._placed = True
        return found


async def test_no_record_is_handled_before_the_store_has_said_where_to_read(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    await line.intend(*range(15))
    await line.commit({(line.intents, partition): 2 for partition in range(PARTITIONS)})
    slow = Slow(line)
    async with line.running(slow):
        await line.done(*range(15))
    assert slow.early == []
    # FastStream reads a batch's first record, and logs an error if there is none.
    assert "IndexError" not in caplog.text
    assert "out of range" not in caplog.text
    assert len(line.toy.handled) == 15


async def test_headers_that_are_not_text_do_not_lose_later_records(line: Line) -> None:
    good = record(1)
    bad: list[list[tuple[str, bytes | None]]] = [
        [("ce_id", b"\xff\xfe"), *good.headers[1:]],
        [("a", None), *good.headers],
        [("ce_source", None)],
        [],
    ]
    odd = [
        Record("", 0, 0, 0, f"key-{number}".encode(), good.value, headers)
        for number, headers in enumerate(bad)
    ]
    async with line.running():
        await line.send(*odd, record(3), Record("", 0, 0, 0, b"k", None, []), record(6))
        await line.done(1, 3, 6)
    dead_letters = await line.toy.dead()
    assert [dead_letter.offset for dead_letter in dead_letters] == [0, 2, 3, 5]
    assert (await line.toy.offsets())[line.intents, 0] == 7


async def test_a_dead_letter_can_be_read_back_from_the_bus_whole(line: Line) -> None:
    async with line.running():
        await line.send(Record("", 1, 0, 0, b"\xff", NOISE, []))
        (dead_letter,) = await eventually(line.toy.dead, within=20)

        async def seen() -> bool:
            topic = topics.dead_letters("policy")
            found = [item async for item in read_everything(line.bootstrap, [topic])]
            ours = [item for item in found if item.key == dead_letter.dead_letter.encode()]
            return bool(ours) and len(ours[0].value or b"") > 1_000_000

        await eventually(seen, within=20, what="the dead letter on the bus")


async def test_a_consumer_that_died_is_replaced_and_loses_nothing(line: Line) -> None:
    async with line.running() as bus:
        await eventually(lambda: bus.problem() is None, what="consuming")
        await line.intend(*range(5))
        await line.done(*range(5))
        for loop in bus._subscriber.tasks:
            loop.cancel()
        assert await eventually(bus.problem) == "the consumer has failed; it is being replaced"
        assert bus.is_dead
        assert await bus.answers()  # the broker is well: only the consumer is not
        await line.intend(*range(5, 10))
        await bus.restart()
        assert not bus.is_dead
        await line.done(*range(10))
        await eventually(lambda: bus.problem() is None, what="consuming again")
    assert len(line.toy.handled) == 10


async def test_offsets_that_the_broker_does_not_have_stop_the_consumer(
    line: Line, store: Store
) -> None:
    async with line.running():
        await line.intend(0, 3)
        await line.done(0, 3)

    async def restored(tx: Any) -> None:
        await tx.inbox.advance("policy", {(line.intents, 0): (2, 50)})

    await store.transact(restored)
    async with line.running() as bus:
        await line.intend(6, 1)
        await line.done(0, 3, 1)  # other partitions go on
        problem = await eventually(bus.problem)
        assert f"{line.intents}/0: offset 50" in str(problem)
        assert await line.toy.done() == [0, 3, 1]


async def test_topics_are_made_once_and_as_they_are_meant_to_be(kafka: Any) -> None:
    await ensure_topics(kafka.bootstrap)
    assert await ensure_topics(kafka.bootstrap) == []
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        described = await admin.describe_topics(list(topics.ALL))
        assert {item["topic"]: len(item["partitions"]) for item in described} == dict.fromkeys(
            topics.ALL, topics.PARTITIONS
        )
        for name in topics.ALL:
            (answer,) = await admin.describe_configs(
                [ConfigResource(ConfigResourceType.TOPIC, name)]
            )
            found = {entry[0]: entry[1] for entry in answer.resources[0][4]}
            wanted = topics.configuration(name)
            assert {key: found[key] for key in wanted} == wanted, name
    finally:
        await admin.close()


async def test_without_a_broker_the_bus_says_so() -> None:
    bus = KafkaBus("127.0.0.1:1", service="policy")
    assert not await bus.answers()
    with pytest.raises(BusUnavailable):
        await bus.start()
    await bus.stop()
    with pytest.raises(BusUnavailable):
        await ensure_topics("127.0.0.1:1")


@pytest.fixture
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Any:
    server = provide(tmp_path_factory.mktemp("own"))
    assert isinstance(server, KafkaServer)
    yield server
    server.stop()


async def test_a_broker_that_stops_and_starts_again_loses_nothing(
    own_broker: KafkaServer, store: Store
) -> None:
    bootstrap = own_broker.bootstrap
    await ensure_topics(bootstrap)
    line = Line(bootstrap, store, topics.INTENTS_SUBSCRIPTION, topics.FACTS_NOTIFICATION)
    async with line.running() as bus:
        await line.intend(*range(10))
        await line.done(*range(10))
        await asyncio.to_thread(own_broker.stop)
        await eventually(lambda: _silent(bus), within=20, what="noticing that it is unreachable")
        await append(store, "meanwhile", 99)
        await asyncio.to_thread(own_broker.start)
        await eventually(bus.answers, within=40)
        await line.intend(*range(10, 20))
        await line.done(*range(20))
        relay = line.relay
        assert relay is not None
        await eventually(lambda: relay.healthy, within=30)
        await eventually(lambda: _count(line, 21), within=30)
    facts = [fact for fact in await line.published() if fact.type == Unsubscribed.TYPE]
    assert {int(fact.extensions["sequence"]) for fact in facts} == set(range(1, 22))
    assert len(line.toy.handled) == 20


async def _silent(bus: KafkaBus) -> bool:
    return not await bus.answers()
