"""The contract of the bus with the engine and the relay, for Kafka and the simulated bus."""

import asyncio
import secrets
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack

import pytest
from aiokafka import AIOKafkaProducer

from busbar.runtime.core.bus import Bus, Headers, Outgoing, Partition, Record
from busbar.runtime.kafka.bus import KafkaBus
from busbar.runtime.kafka.reader import read_everything
from faults.bus import Broker, SimulatedBus
from support import MakeTopic, RunningKafka, eventually

PARTITIONS = 12
BATCH = 7
KEY = b"\xff\x00"


class Reader:
    """A minimal engine that records what it receives, and stores positions if configured to."""

    def __init__(self, stored: dict[Partition, int] | None = None, *, storing: bool = True) -> None:
        self.stored: dict[Partition, int] = {} if stored is None else stored
        self.storing = storing
        self.batches: list[list[Record]] = []
        self.held: set[Partition] = set()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.finished = 0

    @property
    def got(self) -> list[Record]:
        return [record for batch in self.batches for record in batch]

    async def handle_batch(self, records: Sequence[Record]) -> Mapping[Partition, int]:
        self.batches.append(list(records))
        await self.may_go_on.wait()
        if self.storing:
            for record in records:
                self.stored[record.topic, record.partition] = record.offset + 1
        self.finished += 1
        places = {(record.topic, record.partition) for record in records}
        return {place: self.stored[place] for place in places if place in self.stored}

    async def positions(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        self.held.update(partitions)
        return {place: self.stored[place] for place in partitions if place in self.stored}

    async def revoke(self, partitions: Collection[Partition]) -> None:
        self.held.difference_update(partitions)


class Place(ABC):
    """A bus with its own topic, and an outside view of it."""

    topic: str

    def __init__(self) -> None:
        self.service = f"t{secrets.token_hex(4)}"
        self._open = AsyncExitStack()

    @abstractmethod
    def bus(self) -> Bus:
        """Return a bus of another instance of the service."""

    @abstractmethod
    async def send(self, partition: int, value: bytes | None, headers: Headers = ()) -> None:
        """Publish as another producer."""

    @abstractmethod
    async def read(self) -> list[Record]:
        """Return all records on the topic, as another consumer sees them."""

    async def consuming(self, reader: Reader) -> Bus:
        bus = await self.started(reader)
        await bus.consume()
        return bus

    async def started(self, reader: Reader | None = None) -> Bus:
        bus = self.bus()
        if reader is not None:
            bus.subscribe([self.topic], reader)
        await bus.start()
        self._open.push_async_callback(bus.stop)
        return bus

    async def close(self) -> None:
        await self._open.aclose()


class KafkaPlace(Place):
    def __init__(self, bootstrap: str, topic: str) -> None:
        super().__init__()
        self.topic = topic
        self._bootstrap = bootstrap

    def bus(self) -> Bus:
        return KafkaBus(self._bootstrap, service=self.service, batch_records=BATCH)

    async def send(self, partition: int, value: bytes | None, headers: Headers = ()) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap)
        await producer.start()
        try:
            await producer.send_and_wait(
                self.topic, value, key=KEY, partition=partition, headers=list(headers)
            )
        finally:
            await producer.stop()

    async def read(self) -> list[Record]:
        return [record async for record in read_everything(self._bootstrap, [self.topic])]


class SimulatedPlace(Place):
    topic = "simulated"

    def __init__(self) -> None:
        super().__init__()
        self._broker = Broker(partitions=PARTITIONS)

    def bus(self) -> Bus:
        return SimulatedBus(self._broker, service=self.service, batch_records=BATCH)

    async def send(self, partition: int, value: bytes | None, headers: Headers = ()) -> None:
        self._broker.append(self.topic, key=KEY, value=value, headers=headers, partition=partition)

    async def read(self) -> list[Record]:
        return [record for _, log in sorted(self._broker.logs.items()) for record in log]


def outgoing(topic: str, key: str, number: int) -> Outgoing:
    return Outgoing(topic, key.encode(), str(number).encode(), [("n", str(number).encode())])


def values(records: Sequence[Record]) -> list[bytes | None]:
    return [record.value for record in records]


class Suite:
    """The contract; the fixture of a subclass provides the bus."""

    async def test_records_of_a_key_stay_together_and_in_order(self, place: Place) -> None:
        reader = Reader()
        bus = await place.consuming(reader)
        sent = [outgoing(place.topic, f"key-{number % 5}", number) for number in range(60)]
        await bus.publish(sent)
        await eventually(lambda: len(reader.got) >= len(sent), within=30)
        by_key: dict[bytes | None, list[Record]] = defaultdict(list)
        for record in reader.got:
            by_key[record.key].append(record)
        assert len(by_key) == 5
        for key, found in by_key.items():
            assert len({record.partition for record in found}) == 1
            assert values(found) == [one.value for one in sent if one.key == key]

    async def test_a_batch_is_never_larger_than_asked_for(self, place: Place) -> None:
        reader = Reader()
        bus = await place.started(reader)
        await bus.publish([outgoing(place.topic, f"key-{n}", n) for n in range(40)])
        await bus.consume()
        await eventually(lambda: len(reader.got) >= 40, within=30)
        assert max(len(batch) for batch in reader.batches) <= BATCH

    async def test_it_reports_how_much_has_not_been_delivered_yet(self, place: Place) -> None:
        reader = Reader()
        bus = await place.started(reader)
        for number in range(10):
            await place.send(3, str(number).encode())
        reader.may_go_on.clear()
        await bus.consume()
        await eventually(lambda: reader.batches, within=30)
        assert await bus.behind() == 10 - BATCH
        reader.may_go_on.set()
        await eventually(lambda: len(reader.got) >= 10, within=30)
        assert await bus.behind() == 0

    async def test_publishing_returns_when_everything_is_there(self, place: Place) -> None:
        bus = await place.started()
        for number in range(3):
            await bus.publish([outgoing(place.topic, "key", number)])
            assert len(await place.read()) == number + 1

    async def test_nothing_is_published_before_the_start(self, place: Place) -> None:
        with pytest.raises(RuntimeError):
            await place.bus().publish([outgoing(place.topic, "key", 1)])

    async def test_reading_starts_where_the_store_says(self, place: Place) -> None:
        for number in range(10):
            await place.send(3, str(number).encode())
        reader = Reader({(place.topic, 3): 6})
        await place.consuming(reader)
        await eventually(lambda: len(reader.got) >= 4, within=30)
        assert [record.offset for record in reader.got] == [6, 7, 8, 9]
        assert values(reader.got) == [b"6", b"7", b"8", b"9"]

    async def test_a_partition_that_was_never_read_starts_at_its_beginning(
        self, place: Place
    ) -> None:
        await place.send(1, b"first")
        await place.send(1, b"second")
        reader = Reader({(place.topic, 3): 0})
        await place.consuming(reader)
        await place.send(2, b"third")
        await eventually(lambda: len(reader.got) >= 3, within=30)
        assert sorted((r.partition, r.offset, r.value) for r in reader.got) == [
            (1, 0, b"first"),
            (1, 1, b"second"),
            (2, 0, b"third"),
        ]

    async def test_what_was_not_stored_comes_again(self, place: Place) -> None:
        stored: dict[Partition, int] = {}
        first = Reader(stored)
        bus = await place.consuming(first)
        await place.send(0, b"kept")
        await eventually(lambda: first.finished == 1, within=30)
        first.storing = False
        await place.send(0, b"lost")
        await eventually(lambda: first.finished == 2, within=30)
        await bus.stop()
        again = Reader(stored)
        await place.consuming(again)
        await eventually(lambda: again.got, within=30)
        assert [(record.offset, record.value) for record in again.got] == [(1, b"lost")]

    async def test_records_arrive_unchanged(self, place: Place) -> None:
        sent: list[tuple[bytes | None, list[tuple[str, bytes | None]]]] = [
            (b"\xff\xfe", [("ce_id", b"\xff\xfe"), ("nothing", None), ("nothing", b"")]),
            (None, [("tomb", b"stone")]),
            (b"", []),
        ]
        reader = Reader()
        await place.consuming(reader)
        for value, headers in sent:
            await place.send(5, value, headers)
        await eventually(lambda: len(reader.got) >= len(sent), within=30)
        assert [(record.value, list(record.headers)) for record in reader.got] == sent
        assert {record.key for record in reader.got} == {KEY}

    async def test_a_missing_position_stops_its_partition_and_is_reported(
        self, place: Place
    ) -> None:
        await place.send(0, b"there")
        reader = Reader({(place.topic, 0): 50})
        bus = await place.consuming(reader)
        await place.send(1, b"elsewhere")
        await eventually(lambda: reader.got, within=30)
        assert f"{place.topic}/0: offset 50" in str(await eventually(bus.problem, within=30))
        assert values(reader.got) == [b"elsewhere"]

    async def test_a_bus_that_consumes_is_well(self, place: Place) -> None:
        bus = await place.consuming(Reader())
        await eventually(lambda: bus.problem() is None, within=30)
        assert await bus.answers()

    async def test_what_is_being_handled_is_finished_before_it_stops(self, place: Place) -> None:
        reader = Reader()
        reader.may_go_on.clear()
        bus = await place.consuming(reader)
        await place.send(0, b"slow")
        await eventually(lambda: reader.batches, within=30)
        stopping = asyncio.create_task(bus.stop())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not stopping.done()
        reader.may_go_on.set()
        await stopping
        assert reader.finished == 1
        assert reader.stored == {(place.topic, 0): 1}

    async def test_a_second_instance_takes_over_when_the_first_stops(self, place: Place) -> None:
        stored: dict[Partition, int] = {}
        first, second = Reader(stored), Reader(stored)
        leaving = await place.consuming(first)
        every = {(place.topic, number) for number in range(PARTITIONS)}
        await eventually(lambda: first.held == every, within=60)
        await place.consuming(second)
        await eventually(
            lambda: first.held and second.held and first.held | second.held == every, within=60
        )
        assert not first.held & second.held
        for partition in range(PARTITIONS):
            await place.send(partition, b"both")
        await eventually(lambda: len(stored) == PARTITIONS, within=60)
        await leaving.stop()
        before = len(first.got)
        for partition in range(PARTITIONS):
            await place.send(partition, b"one")
        await eventually(lambda: sum(stored.values()) == 2 * PARTITIONS, within=60)
        assert len(first.got) == before
        assert {record.partition for record in second.got if record.value == b"one"} == set(
            range(PARTITIONS)
        )


@pytest.mark.kafka
@pytest.mark.timeout(180)
class TestKafka(Suite):
    @pytest.fixture
    async def place(self, kafka: RunningKafka, topic: MakeTopic) -> AsyncIterator[Place]:
        made = KafkaPlace(kafka.bootstrap, await topic(partitions=PARTITIONS, prefix="bus-"))
        yield made
        await made.close()


class TestSimulated(Suite):
    @pytest.fixture
    async def place(self) -> AsyncIterator[Place]:
        made = SimulatedPlace()
        yield made
        await made.close()

    async def test_after_a_kill_publishing_again_doubles_and_reading_goes_on(self) -> None:
        broker = Broker(partitions=PARTITIONS)
        record = outgoing("t", "key", 1)
        for _ in range(2):
            bus = SimulatedBus(broker, service="s")
            await bus.start()
            await bus.publish([record])
            broker.forget_members()
        assert [len(log) for log in broker.logs.values()] == [2]
