"""The state of one resource: its applied steps, its queue, and the running operation."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple
from uuid import UUID

from busbar.messages.base import Message
from busbar.messages.plan import PromiseRef
from busbar.messages.resource import (
    ResourceDeleted,
    ResourceFailed,
    ResourceProvisioned,
    ResourceQueued,
    ResourceStuck,
    StepFailed,
    StepStarted,
    StepSucceeded,
    StepUndone,
)


class Applied(NamedTuple):
    """An applied step with its inputs and outputs."""

    name: str
    adapter: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


class Step(NamedTuple):
    """The progress of the running operation in one step."""

    name: str
    status: Literal["started", "succeeded", "undone"]
    adapter: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any] = MappingProxyType({})
    changed: bool = False
    created: bool = False
    """True if nothing existed when the operation reached the step."""
    epoch: int = 0
    """The epoch of the lease under which the effect was started."""
    operation_key: str = ""
    """Identifies the effect that was started."""
    reverted: bool = False
    """True if something existed that had to be removed or restored."""


class Saga(NamedTuple):
    """The running operation. ``steps`` are those it has touched, in the order of first contact."""

    intent: ResourceQueued
    phase: Literal["forward", "undo"] = "forward"
    steps: tuple[Step, ...] = ()
    failed_step: str = ""
    reason: str = ""
    detail: str = ""
    failures: int = 0
    """Consecutive failures of the current step."""
    stuck: bool = False
    recorded: int = 0
    """Number of facts recorded so far; the index of the next one."""

    def step(self, name: str) -> Step | None:
        """Return the touched step called ``name``."""
        return next((step for step in self.steps if step.name == name), None)

    def with_step(self, step: Step) -> "Saga":
        """Return this saga with ``step`` in its place, or last if it is new."""
        if self.step(step.name) is None:
            return self._replace(steps=(*self.steps, step))
        steps = tuple(step if old.name == step.name else old for old in self.steps)
        return self._replace(steps=steps)


class ResourceState(NamedTuple):
    """One resource."""

    generation: int = 0
    promise: PromiseRef | None = None
    applied: tuple[Applied, ...] = ()
    queue: tuple[ResourceQueued, ...] = ()
    saga: Saga | None = None
    ended: frozenset[UUID] = frozenset()
    """Operations that have ended; none of them is ever started again."""

    def previously(self, name: str) -> Applied | None:
        """Return the step called ``name`` as it was before the running operation."""
        return next((applied for applied in self.applied if applied.name == name), None)


def evolve(state: ResourceState, fact: Message) -> ResourceState:
    """Return ``state`` after ``fact``."""
    if isinstance(fact, ResourceQueued):
        return _start_next(state._replace(queue=(*state.queue, fact)))
    saga = state.saga
    if saga is None:
        return state
    if isinstance(fact, ResourceProvisioned | ResourceDeleted | ResourceFailed):
        ended = state.ended | {fact.operation}
        return _start_next(_ended(state, saga, fact)._replace(saga=None, ended=ended))
    saga = saga._replace(recorded=saga.recorded + 1)
    return state._replace(saga=_progressed(state, saga, fact))


def _ended(
    state: ResourceState, saga: Saga, fact: ResourceProvisioned | ResourceDeleted | ResourceFailed
) -> ResourceState:
    match fact:
        case ResourceProvisioned():
            applied = _applied_after(state, saga)
            return state._replace(generation=fact.generation, promise=fact.promise, applied=applied)
        case ResourceDeleted():
            return state._replace(generation=fact.generation, promise=None, applied=())
        case ResourceFailed():
            return state


def _progressed(state: ResourceState, saga: Saga, fact: Message) -> Saga:
    match fact:
        case StepStarted():
            return _started(saga, fact)
        case StepSucceeded():
            return _succeeded(saga, fact)
        case StepFailed():
            return _failed(saga, fact)
        case StepUndone():
            return _undone(state, saga, fact)
        case ResourceStuck():
            return saga._replace(stuck=True)
        case _:
            return saga


def _start_next(state: ResourceState) -> ResourceState:
    if state.saga is not None or not state.queue:
        return state
    return state._replace(saga=Saga(state.queue[0]), queue=state.queue[1:])


def _started(saga: Saga, fact: StepStarted) -> Saga:
    old = saga.step(fact.step)
    step = Step(
        name=fact.step,
        status="started",
        adapter=fact.adapter,
        inputs=fact.inputs,
        changed=True,
        created=old.created if old else fact.observed == "absent",
        epoch=fact.epoch,
        operation_key=fact.operation_key,
        reverted=fact.action == "remove",
    )
    return saga.with_step(step)


def _succeeded(saga: Saga, fact: StepSucceeded) -> Saga:
    old = saga.step(fact.step)
    step = Step(
        name=fact.step,
        status="succeeded",
        adapter=fact.adapter,
        inputs=fact.inputs,
        outputs=fact.outputs,
        changed=fact.changed,
        created=old.created if old else False,
    )
    return saga.with_step(step)._replace(failures=0)


def _failed(saga: Saga, fact: StepFailed) -> Saga:
    if not fact.permanent or saga.phase == "undo" or saga.intent.action == "delete":
        return saga._replace(failures=saga.failures + 1)
    return saga._replace(
        phase="undo",
        failed_step=fact.step,
        reason=fact.reason,
        detail=fact.detail,
        failures=0,
    )


def _undone(state: ResourceState, saga: Saga, fact: StepUndone) -> Saga:
    before = state.previously(fact.step)
    old = saga.step(fact.step)
    inputs: Mapping[str, Any] = old.inputs if old else {}
    if fact.restored and before is not None:
        inputs = before.inputs
    step = Step(
        name=fact.step,
        status="succeeded" if fact.restored else "undone",
        adapter=fact.adapter,
        inputs=inputs,
        changed=True,
        reverted=fact.restored or fact.was_there,
    )
    return saga.with_step(step)._replace(failures=0, stuck=False)


def _applied_after(state: ResourceState, saga: Saga) -> tuple[Applied, ...]:
    """Return what is applied once the operation has succeeded, in the order of its plan."""
    order = {step.name: index for index, step in enumerate(saga.intent.plan.steps)}
    now = [
        Applied(step.name, step.adapter, step.inputs, step.outputs)
        for step in saga.steps
        if step.status == "succeeded"
    ]
    touched = {step.name for step in saga.steps}
    now += [applied for applied in state.applied if applied.name not in touched]
    return tuple(sorted(now, key=lambda applied: order.get(applied.name, len(order))))
