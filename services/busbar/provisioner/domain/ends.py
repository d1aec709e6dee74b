"""Decides how operations end: with their last facts, and by interventions; pure."""

from typing import Literal
from uuid import UUID

from busbar.kernel.expressions import resolve_outputs
from busbar.messages.base import OperationFact
from busbar.messages.intervention import (
    Intervened,
    InterventionAllowed,
    OperationAbandoned,
    ResourceReleased,
)
from busbar.messages.remaining import Remaining
from busbar.messages.resource import (
    ResourceDeleted,
    ResourceFailed,
    ResourceProvisioned,
    ResourceQueued,
)
from busbar.provisioner.domain.commands import scope
from busbar.provisioner.domain.facts import Facts, ended, running
from busbar.provisioner.domain.state import (
    Applied,
    ResourceState,
    Saga,
    Step,
    applied_after_failure,
)


def decide_finished(state: ResourceState) -> Facts:
    """Decide the last fact of an operation whose every effect is done, and of those that joined."""
    saga = running(state)
    fact = _last(state, saga)
    joined = state.joined_to(saga.intent.operation)
    return [fact, *(_same_end(fact, one.intent) for one in joined)]


def _last(
    state: ResourceState, saga: Saga
) -> ResourceProvisioned | ResourceDeleted | ResourceFailed:
    if saga.phase != "forward":
        return _failed(state, saga)
    if saga.intent.action == "delete":
        return ResourceDeleted(**ended(saga.intent), existed=bool(state.applied))
    changed = any(step.changed for step in saga.steps)
    change: Literal["created", "updated", "unchanged"] = "updated" if changed else "unchanged"
    return ResourceProvisioned(
        **ended(saga.intent),
        change=change if state.applied else "created",
        promise=saga.intent.promise,
        spec=saga.intent.spec,
        outputs=resolve_outputs(saga.intent.plan.outputs, scope(saga)),
        recreated=tuple(step.name for step in saga.steps if _was_gone(state, step)),
    )


def _was_gone(state: ResourceState, step: Step) -> bool:
    """Return whether ``step`` had been applied, and nothing was there any more."""
    before = state.previously(step.name)
    return (
        before is not None
        and step.status == "succeeded"
        and step.created
        and before.adapter == step.adapter
    )


def _same_end(
    fact: ResourceProvisioned | ResourceDeleted | ResourceFailed, joined: ResourceQueued
) -> OperationFact:
    """Return the end of an operation that joined the one that ended with ``fact``."""
    update = ended(joined)
    if isinstance(fact, ResourceProvisioned):
        update |= {"change": "unchanged", "recreated": ()}
    return fact.model_copy(update=update)


def _failed(state: ResourceState, saga: Saga) -> ResourceFailed:
    undone = [step.name for step in reversed(saga.steps) if step.reverted]
    applied = applied_after_failure(state, saga)
    remains = _remains(saga)
    return ResourceFailed(
        **ended(saga.intent),
        failed_step=saga.failed_step,
        reason=saga.reason,
        detail=saga.detail,
        undone=tuple(undone),
        left=_left(applied, remains),
        remains=remains,
        observed_generation=state.generation if state.promise is not None else 0,
    )


def _left(
    applied: tuple[Applied, ...], remains: tuple[Remaining, ...]
) -> Literal["absent", "previous", "partial"]:
    if not applied:
        return "absent"
    return "partial" if remains else "previous"


def _remains(saga: Saga) -> tuple[Remaining, ...]:
    return tuple(_remaining(step) for step in saga.steps if step.status == "left")


def _remaining(step: Step) -> Remaining:
    return Remaining(
        step=step.name,
        adapter=step.adapter,
        presence=step.presence,
        inputs=dict(step.inputs),
        outputs=dict(step.outputs),
        reason=step.reason,
        detail=step.detail,
    )


def _known(applied: Applied) -> Remaining:
    return Remaining(
        step=applied.name,
        adapter=applied.adapter,
        presence="unknown",
        inputs=dict(applied.inputs),
        outputs=dict(applied.outputs),
    )


# -- interventions --------------------------------------------------------------------------------


def decide_intervention(state: ResourceState, allowed: InterventionAllowed) -> Facts:
    """Carry out an allowed intervention, once."""
    if allowed.operation in state.ended:
        return []
    if allowed.target is None:
        return _released(state, allowed)
    facts, detail = _abandoned(state, allowed, allowed.target)
    if allowed.action == "retry":
        facts, detail = [], _retried(state, allowed.target)
    done = Intervened(
        operation=allowed.operation,
        resource=allowed.resource,
        intent=allowed.intent,
        action="retry" if allowed.action == "retry" else "abandon",
        target=allowed.target,
        done=not detail,
        detail=detail or _DONE[allowed.action],
    )
    return [*facts, done]


_DONE = {"retry": "it is tried again now", "abandon": "it ends as failed; what exists stays"}


def _retried(state: ResourceState, target: UUID) -> str:
    """Return why ``target`` is not retried; empty if it is."""
    saga = state.saga
    if saga is not None:
        joined = {one.intent.operation for one in state.joined_to(saga.intent.operation)}
        if target in {saga.intent.operation, *joined}:
            return ""
    return _not_running(state, target) or "it waits for the operation before it: retry that one"


def _abandoned(
    state: ResourceState, allowed: InterventionAllowed, target: UUID
) -> tuple[list[OperationFact], str]:
    """Return the facts that end ``target``, or why it cannot be ended."""
    saga = state.saga
    if saga is not None and saga.intent.operation == target:
        return [abandoned(saga.intent, by=allowed.operation, reason="abandoned")], ""
    for queued in state.waiting:
        if queued.operation == target:
            return [_ended_before(state, queued, allowed, "abandoned")], ""
    return [], _not_running(state, target)


def abandoned(
    queued: ResourceQueued, *, by: UUID, reason: Literal["abandoned", "superseded"]
) -> OperationAbandoned:
    """Return the fact that no more is tried for an operation."""
    return OperationAbandoned(
        operation=queued.operation, resource=queued.resource, by=by, reason=reason
    )


def _not_running(state: ResourceState, target: UUID) -> str:
    if target in state.ended:
        return "it has ended already"
    if all(queued.operation != target for queued in state.waiting):
        return "it is not an operation of this resource"
    return ""


def _ended_before(
    state: ResourceState, queued: ResourceQueued, allowed: InterventionAllowed, reason: str
) -> ResourceFailed:
    """Return the end of an operation that did nothing yet."""
    return ResourceFailed(
        **ended(queued),
        failed_step=None,
        reason=reason,
        detail=f"{reason} by operation {allowed.operation} before it began",
        undone=(),
        left="previous" if state.applied else "absent",
        observed_generation=state.generation if state.promise is not None else 0,
    )


def _released(state: ResourceState, allowed: InterventionAllowed) -> Facts:
    saga = state.saga
    known = {one.name: _known(one) for one in state.applied}
    if saga is not None:
        for step in saga.steps:
            known[step.name] = _remaining(step._replace(presence="unknown"))
            if step.status == "undone":
                del known[step.name]
    remains = tuple(known.values())
    return [
        *(_ended_by_release(queued, allowed, remains) for queued in state.waiting),
        ResourceReleased(
            operation=allowed.operation,
            resource=allowed.resource,
            intent=allowed.intent,
            remains=remains,
        ),
    ]


def _ended_by_release(
    queued: ResourceQueued, allowed: InterventionAllowed, remains: tuple[Remaining, ...]
) -> ResourceFailed:
    return ResourceFailed(
        **ended(queued),
        failed_step=None,
        reason="released",
        detail=f"the resource was released by operation {allowed.operation}",
        undone=(),
        left="partial" if remains else "absent",
        remains=remains,
    )
