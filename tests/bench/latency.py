"""``latency-*``: from publishing an intent to the fact that it is done, at a pace that is kept."""

import asyncio
import random
from statistics import quantiles

from aiokafka import AIOKafkaProducer

from bench import work
from bench.report import Row
from bench.run import Run
from bench.stage import Watcher, stage
from busbar.runtime.core.bus import Outgoing
from busbar.runtime.core.clock import SystemClock

PER_SECOND = 100


async def measure(run: Run) -> list[Row]:
    """Open loop: intents are published when they are due, whatever became of those before."""
    async with (
        stage(run, "postgres") as platform,
        work.producing(platform.bootstrap) as producer,
        Watcher(platform.bootstrap).watching() as watcher,
    ):
        paced = _Paced(run, producer, watcher)
        await paced.waits("warm", seconds=run.size(10, quick=2))
        async with platform.own_side():
            waits = await paced.waits("paced", seconds=run.size(30, quick=5))
    cuts = quantiles(waits, n=100, method="inclusive")
    run.say(f"  latency of {len(waits)}: p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms")
    return [
        Row(name="latency-p50", value=cuts[49], unit="ms"),
        Row(name="latency-p99", value=cuts[98], unit="ms"),
    ]


class _Paced:
    def __init__(self, run: Run, producer: AIOKafkaProducer, watcher: Watcher) -> None:
        self._chance = random.Random(run.seed)
        self._producer = producer
        self._watcher = watcher
        self._clock = SystemClock()

    async def waits(self, label: str, *, seconds: int) -> list[float]:
        """The milliseconds that each intent took; those of a slow start are counted like all."""
        records = work.intents(PER_SECOND * seconds, label)
        before = len(self._watcher.seen)
        loop, due = asyncio.get_running_loop(), 0.0
        begun, due_times, sending = loop.time(), [], set()
        for record in records:
            due += self._chance.expovariate(PER_SECOND)
            await self._clock.sleep(max(0.0, begun + due - loop.time()))
            task = loop.create_task(self._send(record))
            sending.add(task)
            due_times.append(begun + due)
        await asyncio.gather(*sending)
        await self._watcher.until(before + len(records))
        seen = self._watcher.seen
        return [
            1000 * (seen[work.operation_of(number, label)] - due)
            for number, due in enumerate(due_times)
        ]

    async def _send(self, record: Outgoing) -> None:
        await self._producer.send_and_wait(
            record.topic, record.value, key=record.key, headers=list(record.headers)
        )
