"""An adapter as the provisioner calls it: each call is counted and timed by what came of it."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from busbar.backends.port import Backend, Call, Observation, Outcome, Result
from busbar.kernel.clock import Clock
from busbar.runtime import metrics
from busbar.runtime.meters import seconds_between

Answer = TypeVar("Answer", Observation, Outcome)


class WatchedBackend:
    """Hands every call on to an adapter."""

    def __init__(self, inner: Backend, name: str, *, clock: Clock) -> None:
        """Watch ``inner``, which the plan calls ``name``."""
        self.fencing = inner.fencing
        self._inner = inner
        self._name = name
        self._clock = clock

    async def observe(self, call: Call) -> Observation:
        """What is there."""
        return await self._watch("observe", self._inner.observe, call)

    async def apply(self, call: Call) -> Outcome:
        """Make it be there."""
        return await self._watch("apply", self._inner.apply, call)

    async def remove(self, call: Call) -> Outcome:
        """Make it go away."""
        return await self._watch("remove", self._inner.remove, call)

    async def close(self) -> None:
        """Close the adapter."""
        await self._inner.close()

    async def _watch(
        self, action: str, act: Callable[[Call], Awaitable[Answer]], call: Call
    ) -> Answer:
        begin = self._clock.now()
        # What a look without an answer leaves undone, an act without one leaves unknown.
        result = Result.NOT_DONE.value if action == "observe" else Result.UNKNOWN.value
        try:
            answer = await act(call)
            result = _named(answer)
        finally:
            seconds = seconds_between(begin, self._clock.now())
            metrics.STEPS.labels(self._name, action, result).inc()
            metrics.STEP_SECONDS.labels(self._name, action).observe(seconds)
        return answer


def _named(answer: Observation | Outcome) -> str:
    return answer.presence.value if isinstance(answer, Observation) else answer.result.value
