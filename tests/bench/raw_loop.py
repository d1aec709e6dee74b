"""``raw-loop``: the limit of whatever goes through Kafka: consume, JSON, produce, commit."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain

from aiokafka import AIOKafkaProducer

from bench import servers, work
from bench.consuming import Found, consumed
from bench.run import Run

IN, OUT = "bench.raw.in", "bench.raw.out"


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
        return await consumed(
            self._bootstrap, IN, group="bench.raw", count=self._count, handle=self._pass_on
        )

    async def _pass_on(self, found: Found) -> int:
        pending = []
        for record in chain.from_iterable(found.values()):
            value = json.dumps(json.loads(record.value)).encode()
            headers = list(record.headers)
            pending.append(await self._producer.send(OUT, value, key=record.key, headers=headers))
        for answer in pending:
            await answer
        return len(pending)


@asynccontextmanager
async def raw_loop(run: Run, bootstrap: str) -> AsyncIterator[RawLoop]:
    """The loop, warm, on topics of its own."""
    for name in (IN, OUT):
        await servers.make_topic(bootstrap, name)
    async with work.producing(bootstrap) as producer:
        loop = RawLoop(run, bootstrap, producer)
        await loop.turn()
        yield loop
