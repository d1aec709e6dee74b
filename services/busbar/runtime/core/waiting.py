"""Waiting for an event with a limit, safely under cancellation."""

import asyncio


async def wait_for_event(event: asyncio.Event, *, seconds: float) -> bool:
    """Wait until ``event`` is set, for at most ``seconds``; return whether it was set.

    ``asyncio.wait_for`` is not used because it can swallow a cancellation before Python 3.12.
    """
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
