"""What has begun is ended, whoever stops waiting for it."""

import asyncio
from typing import TypeVar

Result = TypeVar("Result")


async def shield_until_done(task: asyncio.Task[Result]) -> Result:
    """The result of ``task``; a cancellation is passed on when the task has ended."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
        except BaseException:  # noqa: BLE001 - it is the task's, and raised below
            break
    if cancelled is not None:
        task.exception()  # seen, since the caller will not hear of it
        raise cancelled
    return task.result()
