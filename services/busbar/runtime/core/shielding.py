"""Finish a task even if its waiter is cancelled."""

import asyncio
from typing import TypeVar

Result = TypeVar("Result")


async def shield_until_done(task: asyncio.Task[Result]) -> Result:
    """Return the result of ``task``; a cancellation is raised only after the task has ended."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
        except BaseException:  # noqa: BLE001 - raised below, by task.result()
            break
    if cancelled is not None:
        task.exception()  # marked as retrieved, as the caller gets the cancellation
        raise cancelled
    return task.result()
