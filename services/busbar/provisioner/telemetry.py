"""Metrics, spans and log events of operations and of every call to an adapter."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from busbar.backends.port import (
    Backend,
    Call,
    Observation,
    Outcome,
    Result,
    acts_late_seconds,
)
from busbar.kernel.clock import Clock, format_time
from busbar.messages.base import Fact
from busbar.messages.resource import (
    ResourceDeleted,
    ResourceFailed,
    ResourceProvisioned,
    ResourceQueued,
    ResourceStuck,
)
from busbar.provisioner.domain import ResourceState, Saga
from busbar.provisioner.domain.progress import is_announced, is_stuck
from busbar.runtime.store import Document, Transaction
from busbar.runtime.telemetry import tracing
from busbar.runtime.telemetry.logs import get_logger
from busbar.runtime.telemetry.meters import seconds_between
from busbar.runtime.telemetry.metrics import LONG, counter, describe_labels, gauge, histogram

log = get_logger()

describe_labels(
    adapter="the adapter of the plan's step, as `kafka-topic`",
    action="the call to the adapter: `observe`, `apply`, `remove`",
    result="the answer of the adapter",
)
STEPS: Final = counter(
    "busbar_provisioner_steps_total",
    "Calls to adapters, by result: `absent`, `ours` or `foreign` for `observe`; `done`, "
    "`not_done` or `unknown` for the others. Without an answer it is `not_done` for `observe` "
    "and `unknown` for the others.",
    *("adapter", "action", "result"),
)
STEP_SECONDS: Final = histogram(
    "busbar_provisioner_step_seconds",
    "Duration of a call to an adapter.",
    *("adapter", "action"),
    buckets=LONG,
)
OPERATIONS: Final = counter(
    "busbar_provisioner_operations_total",
    "Operations that ended as `succeeded` or `failed`, or became `stuck` and need an operator.",
    "outcome",
)
STUCK: Final = "stuck"
"""The kind of document that the store keeps for each resource whose operation is stuck now."""

STUCK_OPERATIONS: Final = gauge(
    "busbar_provisioner_stuck_operations",
    "Operations that are stuck now and need an operator; NaN while the database is unreachable.",
)
OPERATION_SECONDS: Final = histogram(
    "busbar_provisioner_operation_seconds",
    "Time from the decision that allowed an operation to its end.",
    buckets=LONG,
)

OUTCOMES: Final[dict[type[Fact], str]] = {
    ResourceProvisioned: "succeeded",
    ResourceDeleted: "succeeded",
    ResourceFailed: "failed",
    ResourceStuck: "stuck",
}

DEFAULT_CONCURRENCY: Final = 32
"""Effects that a process runs concurrently in one adapter, unless the adapter allows more."""

Answer = TypeVar("Answer", Observation, Outcome)


def measure_end(tx: Transaction, fact: Fact, queued: ResourceQueued, before: ResourceState) -> None:
    """Count ``fact`` if the operation that was ``queued`` ends with it, or becomes stuck."""
    outcome = OUTCOMES.get(type(fact))
    if outcome is None or is_announced(before, fact):
        return
    tx.measure(OPERATIONS.labels(outcome).inc, 1)
    if outcome != "stuck" and queued.allowed_at is not None:
        seconds = seconds_between(queued.allowed_at, tx.now)
        tx.measure(OPERATION_SECONDS.observe, seconds)


class InstrumentedBackend:
    """Counts, times and traces every call to the adapter ``inner``, which plans call ``name``.

    The span of a call is a child of the operation's span, whichever process makes the call.
    """

    def __init__(self, inner: Backend, name: str, *, saga: Saga | None, clock: Clock) -> None:
        self._intent = saga.intent if saga is not None else None
        self.fencing = inner.fencing
        self.acts_late_seconds = acts_late_seconds(inner)
        self.concurrency: int = getattr(inner, "concurrency", DEFAULT_CONCURRENCY)
        self._inner = inner
        self._name = name
        self._clock = clock

    async def observe(self, call: Call) -> Observation:
        """Observe through the adapter."""
        return await self._trace("observe", self._inner.observe, call)

    async def apply(self, call: Call) -> Outcome:
        """Apply through the adapter."""
        return await self._trace("apply", self._inner.apply, call)

    async def remove(self, call: Call) -> Outcome:
        """Remove through the adapter."""
        return await self._trace("remove", self._inner.remove, call)

    async def close(self) -> None:
        """Close the adapter."""
        await self._inner.close()

    async def _trace(
        self, action: str, act: Callable[[Call], Awaitable[Answer]], call: Call
    ) -> Answer:
        intent, attributes = self._intent, {"busbar.adapter": self._name}
        if intent is not None:
            attributes["busbar.operation"] = str(intent.operation)
        parent = intent.traceparent if intent is not None else None
        name = f"{action} {self._name}"
        with tracing.span(name, parent=parent, kind="client", attributes=attributes) as span:
            return await self._measure(action, act, call, span)

    async def _measure(
        self, action: str, act: Callable[[Call], Awaitable[Answer]], call: Call, span: tracing.Here
    ) -> Answer:
        begin = self._clock.now()
        # Without an answer, an observation is not done, and the result of an effect is unknown.
        result = Result.NOT_DONE.value if action == "observe" else Result.UNKNOWN.value
        try:
            answer = await act(call)
            result = _result(answer)
        finally:
            seconds = seconds_between(begin, self._clock.now())
            span.set_attributes({"busbar.result": result})
            if action != "observe":
                step = call.owner.rpartition("#")[2]
                log.info("step_acted", step=step, adapter=self._name, action=action, result=result)
            STEPS.labels(self._name, action, result).inc()
            STEP_SECONDS.labels(self._name, action).observe(seconds)
        return answer


def _result(answer: Observation | Outcome) -> str:
    return answer.presence.value if isinstance(answer, Observation) else answer.result.value


async def note_stuck(
    tx: Transaction, resource: str, before: ResourceState, after: ResourceState
) -> None:
    """Keep the documents of what is stuck equal to the states, for the gauge."""
    if is_stuck(before) and not is_stuck(after):
        await tx.documents.remove(STUCK, resource)
    if after.saga is not None and is_stuck(after) and not is_stuck(before):
        about = {"operation": str(after.saga.intent.operation)}
        since = format_time(tx.now)
        await tx.documents.put(Document(kind=STUCK, key=resource, value=about, rank=since))
