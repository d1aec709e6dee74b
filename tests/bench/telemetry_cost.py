"""``telemetry-cost``: the engine with a span for every event that it handles, and without.

Every span is sampled and sent to a collector; metrics are counted on both sides, as always.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.engine_noop import SERVICE, engine_bench
from bench.report import Row
from bench.run import Run, beside
from busbar.runtime.telemetry import tracing


async def measure(run: Run) -> list[Row]:
    """The same engine, store and topic; only tracing is switched on and off."""
    count = run.size(20_000, quick=3_000)
    async with engine_bench(run) as bench, _collector() as endpoint:

        async def without() -> float:
            await bench.fill(count)
            return await bench.engine()

        async def traced() -> float:
            await bench.fill(count)
            tracing.start(service=SERVICE, endpoint=endpoint, sample=1.0, version="bench")
            try:
                return await bench.engine()
            finally:
                await tracing.stop()

        return [
            await beside(
                run,
                "telemetry-cost",
                "events/s",
                ours=traced,
                limit=without,
                called="engine-untraced",
            )
        ]


@asynccontextmanager
async def _collector() -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.sink",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        yield f"http://127.0.0.1:{port}"
    finally:
        process.stdin.close()
        await process.wait()
