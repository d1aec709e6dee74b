"""Waiting for a condition instead of sleeping."""

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(
    check: Callable[[], Coroutine[Any, Any, T]],
    *,
    within: float = 10.0,
    every: float = 0.02,
    what: str = "the condition",
) -> T: ...


@overload
async def eventually(
    check: Callable[[], T],
    *,
    within: float = 10.0,
    every: float = 0.02,
    what: str = "the condition",
) -> T: ...


async def eventually(
    check: Callable[[], Any],
    *,
    within: float = 10.0,
    every: float = 0.02,
    what: str = "the condition",
) -> Any:
    """Call ``check`` (a function or a coroutine function) until its result is truthy; return it.

    An exception counts as "not yet". After ``within`` seconds a check that hangs is cancelled.

    Raises:
        AssertionError: the time is over; the message names ``what`` and the last result.
    """
    deadline = time.monotonic() + within
    last = "it was never called"
    cause: Exception | None = None
    while True:
        try:
            async with asyncio.timeout_at(_loop_time(deadline)):
                result = check()
                value = await result if inspect.isawaitable(result) else result
        except Exception as error:  # noqa: BLE001 - the next call may succeed; the last error is reported
            last, cause = f"it raised {error!r}", error
        else:
            if value:
                return value
            last, cause = f"it returned {value!r}", None
        if time.monotonic() >= deadline:
            raise AssertionError(f"{what} did not happen within {within:g} s: {last}") from cause
        await asyncio.sleep(every)


def _loop_time(deadline: float) -> float:
    return asyncio.get_running_loop().time() + max(0.0, deadline - time.monotonic())
