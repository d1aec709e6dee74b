"""Members of one group that are paused past their sessions, with offset commits in flight.

The members run in this process, each behind a link of its own to a real broker; the sessions are
short. While some links are held, the group goes on without their members; then they come back, with
whatever they had sent before. Every partition has to make progress soon after that.
"""

import asyncio
import random
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import monotonic

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from busbar.cli.local.kafka import ports
from busbar.runtime.core.bus import Partition, Record
from busbar.runtime.kafka.bus import KafkaBus
from faults.fire.proxy import Proxy
from faults.fire.stage import broker_behind
from faults.report import Findings, Row
from support import eventually
from support.lasting import last

MEMBERS = 4
PARTITIONS = 8
SESSION_SECONDS = 1.5
STALL_SECONDS = 10.0
"""Longest time for which a partition with unread records may make no progress.

A member is paused for three seconds at most, its session ends after one and a half.
"""

TOPIC = "members"


class Ledger:
    """Offsets of all partitions, compared and set as the store does it."""

    def __init__(self) -> None:
        self.offsets: dict[Partition, int] = {}

    def take(self, record: Record) -> None:
        """Count ``record`` if it is the next one of its partition."""
        place = (record.topic, record.partition)
        if self.offsets.get(place, 0) == record.offset:
            self.offsets[place] = record.offset + 1


class Reader:
    """The consumer of one member."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def handle_batch(self, records: Sequence[Record]) -> Mapping[Partition, int]:
        for record in records:
            self._ledger.take(record)
        places = {(record.topic, record.partition) for record in records}
        return {place: self._ledger.offsets.get(place, 0) for place in places}

    async def positions(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        return {place: self._ledger.offsets.get(place, 0) for place in partitions}

    async def revoke(self, partitions: Collection[Partition]) -> None:
        """Nothing is in progress between two batches."""


class Group:
    """The members, their links, and what is published for them."""

    def __init__(self, links: Sequence[Proxy], ledger: Ledger, bootstrap: str) -> None:
        self.links = links
        self.ledger = ledger
        self._bootstrap = bootstrap
        self.sent: dict[Partition, int] = {}
        self.stall = 0.0
        """Longest time so far in which a partition with unread records made no progress."""

    async def publish(self) -> None:
        """Publish to every partition in turn, until cancelled."""
        async with AIOKafkaProducer(bootstrap_servers=self._bootstrap) as producer:
            while True:
                for number in range(PARTITIONS):
                    await producer.send_and_wait(TOPIC, b"x", partition=number)
                    place = (TOPIC, number)
                    self.sent[place] = self.sent.get(place, 0) + 1
                await last(0.05)

    async def watch(self) -> None:
        """Measure for how long partitions stand still, until cancelled."""
        moved = dict.fromkeys(self.sent, monotonic())
        read: dict[Partition, int] = {}
        while True:
            for place, count in list(self.sent.items()):
                offset = self.ledger.offsets.get(place, 0)
                if offset != read.get(place) or offset == count:
                    moved[place] = monotonic()
                read[place] = offset
                self.stall = max(self.stall, monotonic() - moved[place])
            await last(0.05)

    async def caught_up(self) -> None:
        """Return when everything that was sent by now is read."""
        goal = dict(self.sent)

        def is_read() -> bool:
            return all(self.ledger.offsets.get(place, 0) >= count for place, count in goal.items())

        await eventually(is_read, within=60, what="every record read")


@asynccontextmanager
async def group() -> AsyncIterator[Group]:
    """A broker, and members that consume."""
    folder = Path(tempfile.mkdtemp(prefix="busbar-members-"))
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        own = ports.choose(MEMBERS)
        links = [Proxy(lambda port=port: port) for port in own]  # type: ignore[misc]  # a default binds it
        for link in links:
            await stack.enter_async_context(link)
        kafka = broker_behind(folder, dict(zip(own, (link.port for link in links), strict=True)))
        stack.callback(kafka.stop)
        await asyncio.to_thread(kafka.start)
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])
        await admin.close()
        ledger = Ledger()
        for number, link in enumerate(links):
            bus = KafkaBus(
                f"127.0.0.1:{link.port}", service="policy", session_seconds=SESSION_SECONDS
            )
            bus.subscribe([TOPIC], Reader(ledger), instance=f"policy.{number}")
            await bus.start()
            await bus.consume()
            stack.push_async_callback(bus.stop)
        made = Group(links, ledger, kafka.bootstrap)
        running = [asyncio.create_task(made.publish()), asyncio.create_task(made.watch())]
        try:
            yield made
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def _play(seed: int, pauses: int) -> Row:
    findings, rng = Findings(), random.Random(seed)
    async with group() as here:
        await here.caught_up()
        for _ in range(pauses):
            await last(rng.uniform(0.1, 1.2))  # commits are sent once a second
            chosen = rng.sample(here.links, rng.randint(1, MEMBERS - 1))
            for link in chosen:
                link.hold()
            await last(rng.uniform(0.5, 2.0) * SESSION_SECONDS)
            for link in chosen:
                link.let_go()
        await here.caught_up()
    sys.stderr.write(f"paused-members: {pauses} pauses, longest stall {here.stall:.1f} s\n")
    if here.stall > STALL_SECONDS:
        findings.stuck.append(f"a partition made no progress for {here.stall:.1f} s")
    for sentence in findings.stuck:
        sys.stderr.write(f"paused-members (seed {seed}): stuck: {sentence}\n")
    return Row(scenario="paused-members", seed=seed).plus(**findings.counts())


def paused_members(seed: int, *, pauses: int = 200) -> Row:
    """Pause members of a group ``pauses`` times."""
    return asyncio.run(_play(seed, pauses))
