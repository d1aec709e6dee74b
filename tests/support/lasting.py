"""The duration of faults: the only thing that takes a while because it has to."""

import asyncio


async def last(seconds: float) -> None:
    """Let a fault that has begun last for ``seconds``."""
    await asyncio.sleep(seconds)
