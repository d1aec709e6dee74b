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
    """Ask ``check`` (a function or a coroutine function) until its answer is truthy; return it.

    An exception counts as "not yet". After ``within`` seconds an AssertionError names ``what``
    and the last answer; a check that hangs is cut off then, too.
    """
    deadline = time.monotonic() + within
    last = "it was never asked"
    cause: Exception | None = None
    while True:
        try:
            async with asyncio.timeout_at(_loop_time(deadline)):
                answer = check()
                value = await answer if inspect.isawaitable(answer) else answer
        except Exception as error:  # noqa: BLE001 - the next try may succeed; the last is told
            last, cause = f"it raised {error!r}", error
        else:
            if value:
                return value
            last, cause = f"it answered {value!r}", None
        if time.monotonic() >= deadline:
            raise AssertionError(f"{what} did not happen within {within:g} s: {last}") from cause
        await asyncio.sleep(every)


def _loop_time(deadline: float) -> float:
    return asyncio.get_running_loop().time() + max(0.0, deadline - time.monotonic())
