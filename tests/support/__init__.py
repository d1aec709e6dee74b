"""What tests share."""

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, overload

from busbar.cli.local.kafka import Broker

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunningKafka:
    """The session's broker (fixture ``kafka``); a test that has to harm one starts its own."""

    bootstrap: str
    server: Broker


class MakeTopic(Protocol):
    """The fixture ``topic``: makes a topic of a new name on the session's broker."""

    async def __call__(
        self, *, partitions: int = 1, prefix: str = "", config: dict[str, str] | None = None
    ) -> str:
        """The name of the new topic."""
        ...


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
