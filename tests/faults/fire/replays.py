"""Everything comes again: later, while other things go on, and in another order across keys."""

import random
from collections import defaultdict

from aiokafka import AIOKafkaProducer

from busbar.messages import topics
from busbar.runtime.core.bus import Record
from busbar.runtime.kafka.reader import read_everything
from faults.fire import oracle
from faults.fire.run import Fault, Scene

AGAIN = (*topics.INTENTS, *topics.FACTS)


def replayed() -> Fault:
    """All intents and facts are published again byte for byte: under load, and at rest."""

    async def fault(here: Scene) -> None:
        stage = here.stage
        async with here.load.running(longest=4):
            await here.watcher.more(60)
            await _again(stage.kafka.bootstrap, stage.rng)
        await oracle.settle(stage, here.load, here.findings)
        before, world = await oracle.digest(stage), await oracle.things(stage)
        for _ in range(2):
            await _again(stage.kafka.bootstrap, stage.rng)
        await oracle.settle(stage, here.load, here.findings)
        if await oracle.digest(stage) != before:
            here.findings.duplicated.append("the state differs after everything came again")
        if await oracle.things(stage) != world:
            here.findings.duplicated.append("the world differs after everything came again")

    return fault


async def _again(bootstrap: str, rng: random.Random) -> int:
    """Publish every record once more on its partition; only those of one key keep their order."""
    queues: dict[object, list[Record]] = defaultdict(list)
    async for record in read_everything(bootstrap, AGAIN):
        queues[record.topic, record.partition, record.key].append(record)
    order = [place for place, queue in queues.items() for _ in queue]
    rng.shuffle(order)
    for queue in queues.values():
        queue.reverse()
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for place in order:
            record = queues[place].pop()
            await producer.send(
                record.topic,
                record.value,
                key=record.key,
                partition=record.partition,
                headers=[(name, value or b"") for name, value in record.headers],
            )
        await producer.flush()
    return len(order)
