"""An adapter as the provisioner calls it: each call is counted, timed and traced.

Its span is below the operation's context, whichever process makes it and whenever.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from busbar.backends.port import Backend, Call, Observation, Outcome, Result
from busbar.kernel.clock import Clock
from busbar.provisioner.domain import Saga
from busbar.runtime.telemetry import metrics, tracing
from busbar.runtime.telemetry.logs import get_logger
from busbar.runtime.telemetry.meters import seconds_between

log = get_logger()

CONCURRENCY = 32
"""Effects that a process runs concurrently in one adapter that does not set ``concurrency``."""

Answer = TypeVar("Answer", Observation, Outcome)


class WatchedBackend:
    """Hands every call on to an adapter."""

    def __init__(self, inner: Backend, name: str, *, saga: Saga | None, clock: Clock) -> None:
        """Watch ``inner``, which the plan calls ``name``, at work for ``saga``."""
        self._intent = saga.intent if saga is not None else None
        self.fencing = inner.fencing
        self.concurrency: int = getattr(inner, "concurrency", CONCURRENCY)
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
        intent, about = self._intent, {"busbar.adapter": self._name}
        if intent is not None:
            about["busbar.operation"] = str(intent.operation)
        parent = intent.traceparent if intent is not None else None
        name = f"{action} {self._name}"
        with tracing.span(name, parent=parent, kind="client", attributes=about) as here:
            return await self._count(action, act, call, here)

    async def _count(
        self, action: str, act: Callable[[Call], Awaitable[Answer]], call: Call, here: tracing.Here
    ) -> Answer:
        begin = self._clock.now()
        # What a look without an answer leaves undone, an act without one leaves unknown.
        result = Result.NOT_DONE.value if action == "observe" else Result.UNKNOWN.value
        try:
            answer = await act(call)
            result = _named(answer)
        finally:
            seconds = seconds_between(begin, self._clock.now())
            here.set_attributes({"busbar.result": result})
            if action != "observe":
                step = call.owner.rpartition("#")[2]
                log.info("step_acted", step=step, adapter=self._name, action=action, result=result)
            metrics.STEPS.labels(self._name, action, result).inc()
            metrics.STEP_SECONDS.labels(self._name, action).observe(seconds)
        return answer


def _named(answer: Observation | Outcome) -> str:
    return answer.presence.value if isinstance(answer, Observation) else answer.result.value
