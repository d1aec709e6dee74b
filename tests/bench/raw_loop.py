"""``raw-loop``: the limit of whatever goes through Kafka: consume, JSON, produce, commit."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from bench import servers, work
from bench.run import Run

BATCH = 500
IN, OUT = "bench.raw.in", "bench.raw.out"
PATIENCE = 300.0


class RawLoop:
    """Passes records of an intent's size on, as fast as the clients can."""

    def __init__(self, run: Run, bootstrap: str, producer: AIOKafkaProducer) -> None:
        """Use :func:`raw_loop`."""
        self._bootstrap = bootstrap
        self._producer = producer
        self._count = run.size(20_000, quick=3_000)
        self._turns = 0

    async def turn(self) -> float:
        """Records a second, from the first batch until the last is passed on and committed."""
        self._turns += 1
        records = work.intents(self._count, f"raw-{self._turns}")
        await work.publish(self._producer, records, topic=IN)
        consumer = AIOKafkaConsumer(
            IN,
            bootstrap_servers=self._bootstrap,
            group_id="bench.raw",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        seen, begun = 0, 0.0
        try:
            async with asyncio.timeout(PATIENCE):
                while seen < self._count:
                    found = await consumer.getmany(timeout_ms=1000, max_records=BATCH)
                    begun = begun or (perf_counter() if found else 0.0)
                    batch = [record for records in found.values() for record in records]
                    await self._pass_on(batch)
                    await consumer.commit()
                    seen += len(batch)
            return seen / (perf_counter() - begun)
        finally:
            await consumer.stop()

    async def _pass_on(self, batch: list[ConsumerRecord]) -> None:
        pending = []
        for record in batch:
            value = json.dumps(json.loads(record.value)).encode()
            headers = list(record.headers)
            pending.append(await self._producer.send(OUT, value, key=record.key, headers=headers))
        for answer in pending:
            await answer


@asynccontextmanager
async def raw_loop(run: Run, bootstrap: str) -> AsyncIterator[RawLoop]:
    """The loop, warm, on topics of its own."""
    for name in (IN, OUT):
        await servers.make_topic(bootstrap, name)
    async with work.producing(bootstrap) as producer:
        loop = RawLoop(run, bootstrap, producer)
        await loop.turn()
        yield loop
