"""The state of one resource: its applied steps, its queue, and the running operation."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, NamedTuple
from uuid import UUID

from busbar.messages.base import Message
from busbar.messages.delayed import ResourceDelayed
from busbar.messages.intervention import Intervened, OperationAbandoned, ResourceReleased
from busbar.messages.plan import PromiseRef
from busbar.messages.remaining import Presence
from busbar.messages.resource import (
    ResourceDeleted,
    ResourceFailed,
    ResourceProvisioned,
    ResourceQueued,
    ResourceStuck,
    StepFailed,
    StepRetained,
    StepStarted,
    StepSucceeded,
    StepUndone,
)
from busbar.provisioner.domain.unsettled import Unsettled, unsettled_after

End = ResourceProvisioned | ResourceDeleted | ResourceFailed
"""The last fact of an operation."""


class Applied(NamedTuple):
    """An applied step with its inputs and outputs."""

    name: str
    adapter: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


class Step(NamedTuple):
    """The progress of the running operation in one step."""

    name: str
    status: Literal["started", "succeeded", "undone", "left"]
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
    answered: bool = False
    """True if the backend answered the last call that it did not do it."""
    affected: bool = False
    """True if an earlier call may have changed something."""
    requested: Mapping[str, Any] = MappingProxyType({})
    """The inputs of the last effect that did not undo anything."""
    presence: Presence = "ours"
    """What was observed when the step was left as it is."""
    reason: str = ""
    detail: str = ""
    """Why it was left as it is."""


class Saga(NamedTuple):
    """The running operation. ``steps`` are those it has touched, in the order of first contact."""

    intent: ResourceQueued
    phase: Literal["forward", "undo", "abandon"] = "forward"
    steps: tuple[Step, ...] = ()
    failed_step: str | None = None
    reason: str = ""
    detail: str = ""
    failures: int = 0
    """Consecutive failures of the current step."""
    stuck: ResourceStuck | None = None
    recorded: int = 0
    """Number of facts recorded so far; the index of the next one."""
    waiting: datetime | None = None
    """Until when it waits for calls that may still be carried out."""

    def step(self, name: str) -> Step | None:
        """Return the touched step called ``name``."""
        return next((step for step in self.steps if step.name == name), None)

    def with_step(self, step: Step) -> "Saga":
        """Return this saga with ``step`` in its place, or last if it is new."""
        if self.step(step.name) is None:
            return self._replace(steps=(*self.steps, step))
        steps = tuple(step if old.name == step.name else old for old in self.steps)
        return self._replace(steps=steps)


class Joined(NamedTuple):
    """An operation that asks for what another one does already, and ends with it."""

    intent: ResourceQueued
    recorded: int = 0
    """Number of facts recorded about it so far; the index of the next one."""
    stuck: ResourceStuck | None = None
    """The newest fact that it is stuck."""

    def after(self, fact: Message) -> "Joined":
        """Return it after ``fact``, which is about it."""
        stuck = fact if isinstance(fact, ResourceStuck) else self.stuck
        return self._replace(recorded=self.recorded + 1, stuck=stuck)


class ResourceState(NamedTuple):
    """One resource."""

    generation: int = 0
    promise: PromiseRef | None = None
    applied: tuple[Applied, ...] = ()
    queue: tuple[ResourceQueued, ...] = ()
    saga: Saga | None = None
    ended: frozenset[UUID] = frozenset()
    """Operations that have ended; none of them is ever started again."""
    joined: tuple[Joined, ...] = ()
    unsettled: tuple[Unsettled, ...] = ()
    """Calls that may still be carried out, of this operation and of earlier ones."""

    def previously(self, name: str) -> Applied | None:
        """Return the step called ``name`` as it was before the running operation."""
        return next((applied for applied in self.applied if applied.name == name), None)

    @property
    def waiting(self) -> tuple[ResourceQueued, ...]:
        """The operations that have not ended: the running one, the queue, and those that joined."""
        running = (self.saga.intent,) if self.saga is not None else ()
        return (*running, *self.queue, *(one.intent for one in self.joined))

    @property
    def doing(self) -> tuple[UUID, str] | None:
        """The running operation and its phase."""
        return None if self.saga is None else (self.saga.intent.operation, self.saga.phase)

    def recorded(self, operation: UUID) -> tuple[ResourceQueued, int]:
        """Return a running or joined operation, and the number of facts about it so far.

        Raises:
            KeyError: it is neither.
        """
        if self.saga is not None and self.saga.intent.operation == operation:
            return self.saga.intent, self.saga.recorded
        for one in self.joined:
            if one.intent.operation == operation:
                return one.intent, one.recorded
        raise KeyError(operation)

    def joined_to(self, operation: UUID) -> tuple[Joined, ...]:
        """Return the operations that end together with ``operation``."""
        return tuple(one for one in self.joined if one.intent.joins == operation)


def evolve(state: ResourceState, fact: Message) -> ResourceState:
    """Return ``state`` after ``fact``."""
    match fact:
        case ResourceQueued():
            return _queued(state, fact)
        case ResourceProvisioned() | ResourceDeleted() | ResourceFailed():
            return _start_next(_ended(state, fact))
        case ResourceReleased():
            return state._replace(promise=None, applied=(), ended=state.ended | {fact.operation})
        case Intervened():
            return _intervened(state, fact)
        case _:
            return _progressed(state, fact)


def _queued(state: ResourceState, fact: ResourceQueued) -> ResourceState:
    if fact.joins is not None:
        return state._replace(joined=(*state.joined, Joined(fact)))
    return _start_next(state._replace(queue=(*state.queue, fact)))


def _start_next(state: ResourceState) -> ResourceState:
    if state.saga is not None or not state.queue:
        return state
    return state._replace(saga=Saga(state.queue[0]), queue=state.queue[1:])


def _ended(state: ResourceState, fact: End) -> ResourceState:
    operation = fact.operation
    after = state._replace(
        ended=state.ended | {operation},
        queue=tuple(one for one in state.queue if one.operation != operation),
        joined=tuple(one for one in state.joined if one.intent.operation != operation),
    )
    saga = state.saga
    if saga is not None and saga.intent.operation == operation:
        after = _with_result(after, saga, fact)._replace(saga=None)
    elif operation not in {one.intent.operation for one in state.joined}:
        return after
    match fact:
        case ResourceProvisioned():
            return after._replace(generation=fact.generation, promise=fact.promise)
        case ResourceDeleted():
            return after._replace(generation=fact.generation, promise=None)
        case ResourceFailed():
            return after


def _with_result(state: ResourceState, saga: Saga, fact: End) -> ResourceState:
    match fact:
        case ResourceProvisioned():
            return state._replace(applied=_applied_after(state, saga))
        case ResourceDeleted():
            return state._replace(applied=())
        case ResourceFailed():
            return state._replace(applied=applied_after_failure(state, saga))


def _intervened(state: ResourceState, fact: Intervened) -> ResourceState:
    state, saga = state._replace(ended=state.ended | {fact.operation}), state.saga
    if saga is None or fact.action != "retry" or not fact.done:
        return state
    return state._replace(saga=saga._replace(failures=0, stuck=None))


def _progressed(state: ResourceState, fact: Message) -> ResourceState:
    saga, operation = state.saga, getattr(fact, "operation", None)
    if saga is None:
        return state
    if saga.intent.operation != operation:
        joined = tuple(
            one.after(fact) if one.intent.operation == operation else one for one in state.joined
        )
        return state._replace(joined=joined)
    saga = saga._replace(recorded=saga.recorded + 1)
    unsettled = unsettled_after(state.unsettled, fact)
    return state._replace(saga=_saga_after(state, saga, fact), unsettled=unsettled)


def _saga_after(state: ResourceState, saga: Saga, fact: Message) -> Saga:
    match fact:
        case StepStarted():
            return saga.with_step(_started(saga, fact))
        case StepSucceeded():
            return _succeeded(saga, fact)
        case StepFailed():
            return _failed(saga, fact)
        case StepUndone():
            return _undone(state, saga, fact)
        case StepRetained():
            return _left(saga, fact)
        case ResourceStuck():
            return saga._replace(stuck=fact)
        case OperationAbandoned():
            return _abandoned(saga, fact)
        case ResourceDelayed():
            return saga._replace(waiting=fact.until)
        case _:
            return saga


def _started(saga: Saga, fact: StepStarted) -> Step:
    old = saga.step(fact.step)
    again = old is not None and old.status == "started"
    undoes = fact.action == "restore" or saga.phase == "undo"
    return Step(
        name=fact.step,
        status="started",
        adapter=fact.adapter,
        inputs=fact.inputs,
        changed=True,
        created=old.created if old else fact.observed == "absent",
        epoch=fact.epoch,
        operation_key=fact.operation_key,
        reverted=fact.action == "remove" and fact.observed == "ours",
        affected=old is not None and again and (old.affected or not old.answered),
        requested=old.requested if old is not None and undoes else fact.inputs,
    )


def _succeeded(saga: Saga, fact: StepSucceeded) -> Saga:
    old = saga.step(fact.step)
    step = Step(
        name=fact.step,
        status="succeeded",
        adapter=fact.adapter,
        inputs=fact.inputs,
        outputs=fact.outputs,
        changed=fact.changed or (old is not None and fact.settled and old.changed),
        created=old.created if old else False,
        requested=fact.inputs,
    )
    return saga.with_step(step)._replace(failures=0)


def _failed(saga: Saga, fact: StepFailed) -> Saga:
    step = saga.step(fact.step)
    if step is not None and fact.refused:
        step = step._replace(answered=True, affected=step.affected or not fact.unchanged)
        saga = saga.with_step(step)
    if not fact.permanent or saga.phase != "forward" or saga.intent.action == "delete":
        return saga._replace(failures=saga.failures + 1)
    if step is not None and step.answered and not step.affected:
        saga = saga.with_step(_without_effect(step))
    return saga._replace(
        phase="undo",
        failed_step=fact.step,
        reason=fact.reason,
        detail=fact.detail,
        failures=0,
        stuck=None,
    )


def _without_effect(step: Step) -> Step:
    """Return a step that was refused and changed nothing, so that there is nothing to undo."""
    return step._replace(status="undone" if step.created else "started", changed=False)


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
        created=old is not None and old.created,
        reverted=fact.restored or fact.was_there or (old is not None and old.reverted),
    )
    return saga.with_step(step)._replace(failures=0, stuck=None)


def _left(saga: Saga, fact: StepRetained) -> Saga:
    step = Step(
        name=fact.step,
        status="left",
        adapter=fact.adapter,
        inputs=fact.inputs,
        outputs=fact.outputs,
        changed=True,
        presence=fact.presence,
        reason=fact.reason,
        detail=fact.detail,
    )
    return saga.with_step(step)._replace(failures=0, stuck=None)


def _abandoned(saga: Saga, fact: OperationAbandoned) -> Saga:
    """Keep the first reason: an undo that is abandoned began with the failure of a step."""
    stuck = saga.stuck
    reason = saga.reason or (stuck.reason if stuck else fact.reason)
    detail = saga.detail or (stuck.detail if stuck else f"{fact.reason} by operation {fact.by}")
    failed = saga.failed_step or (stuck.step if stuck else None)
    return saga._replace(
        phase="abandon", reason=reason, detail=detail, failed_step=failed, failures=0, stuck=None
    )


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


def applied_after_failure(state: ResourceState, saga: Saga) -> tuple[Applied, ...]:
    """Return what is applied once the operation has failed: what was before, and what is left."""
    left = {step.name: step for step in saga.steps if step.status == "left"}
    gone = {step.name for step in saga.steps if step.status == "undone"}
    kept: list[Applied] = []
    for before in state.applied:
        step = left.pop(before.name, None)
        if step is None and before.name not in gone:
            kept.append(before)
        elif step is not None:
            kept += _applied_as_left(step)
    return (*kept, *(applied for step in left.values() for applied in _applied_as_left(step)))


def _applied_as_left(step: Step) -> list[Applied]:
    """Return the step as applied, so that the next operation changes or removes it."""
    if step.presence in {"absent", "foreign"}:
        return []
    return [Applied(step.name, step.adapter, step.inputs, step.outputs)]
