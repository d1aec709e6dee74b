"""A bare consumer: what both the raw loop and the engine's limit read with."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord

BATCH = 500
PATIENCE = 300.0

Found = Mapping[Any, Sequence[ConsumerRecord]]
"""Records by partition, as ``getmany`` gives them."""


async def consumed(
    bootstrap: str, topic: str, *, group: str, count: int, handle: Callable[[Found], Awaitable[int]]
) -> float:
    """Records a second, from the first batch until ``count`` are handled and committed.

    ``handle`` returns the number of handled records.
    """
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    seen, begun = 0, 0.0
    try:
        async with asyncio.timeout(PATIENCE):
            while seen < count:
                found = await consumer.getmany(timeout_ms=1000, max_records=BATCH)
                begun = begun or (perf_counter() if found else 0.0)
                if found:
                    seen += await handle(found)
                    await consumer.commit()
        return seen / (perf_counter() - begun)
    finally:
        await consumer.stop()
