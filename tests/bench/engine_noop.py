"""``engine-noop``: what delivery itself costs, with a handler that does nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

import asyncpg

from bench import servers, work
from bench.consuming import BATCH, PATIENCE, Found, consumed
from bench.report import Row
from bench.run import Run, beside
from busbar.messages import topics
from busbar.messages.resource import ApplyResource
from busbar.runtime.consume.dead_letters import DeadLetters
from busbar.runtime.consume.engine import Engine
from busbar.runtime.consume.service import Received, Service
from busbar.runtime.core.bus import Partition, Record
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.kafka.bus import KafkaBus
from busbar.runtime.kafka.topics import ensure_topics
from busbar.runtime.store import Store, Transaction
from busbar.runtime.store.engines.postgres import open_postgres
from support.postgres_store import StoreCluster

SERVICE = "policy"
BARE = "bare"

_INBOX = """INSERT INTO inbox (consumer, source, id, digest, recorded_time)
SELECT $1, source, id, '', $4 FROM unnest($2::text[], $3::text[]) AS new (source, id)
ON CONFLICT DO NOTHING RETURNING source, id"""
_OFFSETS = """INSERT INTO offsets (consumer, topic, partition, next_offset)
SELECT $1, * FROM unnest($2::text[], $3::int[], $4::bigint[])
ON CONFLICT (consumer, topic, partition) DO UPDATE SET next_offset = excluded.next_offset"""


@dataclass(slots=True)
class Gauge:
    """An engine, and how long it takes from its first batch until ``count`` records are durable."""

    engine: Engine
    count: int
    seen: int = 0
    begun: float = 0.0
    ended: float = 0.0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle_batch(self, records: Sequence[Record]) -> Mapping[Partition, int]:
        self.begun = self.begun or perf_counter()
        moved = await self.engine.handle_batch(records)
        self.seen += len(records)
        if self.seen >= self.count:
            self.ended = perf_counter()
            self.done.set()
        return moved

    async def positions(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        return await self.engine.positions(partitions)

    async def revoke(self, partitions: Collection[Partition]) -> None:
        await self.engine.revoke(partitions)


async def measure(run: Run) -> list[Row]:
    """Both sides read the same records from Kafka, and write into the same tables."""
    count = run.size(20_000, quick=3_000)
    async with engine_bench(run) as bench:

        async def limit() -> float:
            await bench.fill(count)
            return await bench.bare()

        return [
            await beside(
                run,
                "engine-noop",
                "events/s",
                ours=bench.engine,
                limit=limit,
                called="bare-loop",
            )
        ]


@asynccontextmanager
async def engine_bench(run: Run) -> AsyncIterator["EngineBench"]:
    """Both sides, warm, for whatever is to be compared with whatever."""
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(servers.postgres(run, SERVICE))
        bootstrap = await stack.enter_async_context(servers.kafka(run))
        await ensure_topics(bootstrap)
        bench = EngineBench(run, bootstrap, cluster)
        await bench.fill(BATCH)
        await bench.bare()
        await bench.engine()
        yield bench


class EngineBench:
    """A topic with intents, and two ways to consume them: each reads what was filled in last."""

    def __init__(self, run: Run, bootstrap: str, cluster: StoreCluster) -> None:
        """Use :func:`engine_bench`."""
        self._run = run
        self._bootstrap = bootstrap
        self._cluster = cluster
        self._count = 0
        self._filled = 0

    async def fill(self, count: int) -> None:
        """Publish ``count`` more intents."""
        self._filled += 1
        self._count = count
        async with work.producing(self._bootstrap) as producer:
            await work.publish(producer, work.intents(count, f"noop-{self._filled}"))

    async def engine(self) -> float:
        """The product's engine over its own bus and its own store."""
        service = Service(SERVICE)
        service.on(ApplyResource, _nothing)
        clock = SystemClock()
        store: Store = await open_postgres(self._cluster.url, service=SERVICE, clock=clock)
        dead_letters = DeadLetters(SERVICE, Cipher(bytes(32)))
        engine = Engine(service, store, dead_letters, clock=clock, attempts=5)
        gauge = Gauge(engine, self._count)
        bus = KafkaBus(self._bootstrap, service=SERVICE, batch_records=BATCH)
        bus.subscribe(service.topics, gauge)
        await bus.start()
        try:
            async with self._run.own_side(), asyncio.timeout(PATIENCE):
                await bus.consume()
                await gauge.done.wait()
        finally:
            await engine.stop()
            await bus.stop()
            await store.close()
        return self._count / (gauge.ended - gauge.begun)

    async def bare(self) -> float:
        """The same input and output, written by hand for nothing else."""
        connection = await asyncpg.connect(
            self._cluster.url, server_settings={"search_path": f"busbar_{SERVICE}"}
        )
        try:
            return await consumed(
                self._bootstrap,
                topics.INTENTS_RESOURCE,
                group="bench.bare",
                count=self._count,
                handle=partial(_kept, connection),
            )
        finally:
            await connection.close()


async def _kept(connection: Any, found: Found) -> int:
    """Mark one batch as handled, and how far it came, in one transaction."""
    sources, ids, parsed = [], [], []
    for records in found.values():
        for record in records:
            headers = dict(record.headers)
            sources.append(headers["ce_source"].decode())
            ids.append(headers["ce_id"].decode())
            parsed.append(json.loads(record.value))
    places = [(tp.topic, tp.partition, records[-1].offset + 1) for tp, records in found.items()]
    async with connection.transaction():
        new = await connection.fetch(_INBOX, BARE, sources, ids, "2026-01-01T00:00:00.000000Z")
        await connection.execute(_OFFSETS, BARE, *map(list, zip(*places, strict=True)))
    assert len(new) == len(parsed), "a record came twice"
    return len(parsed)


async def _nothing(_received: Received[ApplyResource], _tx: Transaction) -> None:
    """From here on, only delivery is measured."""
