"""Decides what an observation or an outcome means for the running operation; pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from busbar.backends.port import UNAVAILABLE, Observation, Outcome, Presence, Result
from busbar.kernel.expressions import TemplateError, resolve_outputs, truthy
from busbar.messages.base import IntentRef, OperationFact
from busbar.messages.plan import PlanStep
from busbar.messages.policy import IntentAllowed
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
from busbar.provisioner.domain.commands import Ensure, Remove, scope
from busbar.provisioner.domain.state import ResourceState, Saga

ATTEMPTS = 5
"""Attempts at a step before it has failed permanently, or its undo is stuck."""

ATTEMPTS_UNAVAILABLE = 15
"""The same while the backend is unavailable: minutes, as it may be restarting."""

Facts = Sequence[OperationFact]


def decide_queued(
    state: ResourceState,
    allowed: IntentAllowed,
    *,
    correlation: str,
    traceparent: str | None,
    allowed_at: datetime | None = None,
) -> Facts:
    """Queue an allowed intent, once."""
    waiting = [*state.queue, *([state.saga.intent] if state.saga else [])]
    known = {*state.ended, *(queued.operation for queued in waiting)}
    if allowed.operation in known:
        return []
    return [
        ResourceQueued(
            operation=allowed.operation,
            resource=allowed.resource,
            intent=allowed.intent,
            action=allowed.action,
            generation=allowed.generation,
            promise=allowed.promise,
            spec=allowed.spec,
            plan=allowed.plan,
            correlation=correlation,
            traceparent=traceparent,
            allowed_at=allowed_at,
        )
    ]


def decide_observed(
    state: ResourceState,
    command: Ensure | Remove,
    seen: Observation,
    *,
    epoch: int,
    overdue: bool,
    previous: Observation | None = None,
) -> Facts:
    """Decide what the observation ``seen`` means for ``command``.

    ``previous`` is the observation with the inputs that the step was applied with before; it is
    required if nothing is found with the new ones. A :class:`StepStarted` means: act now. No fact
    means: observe again later.
    """
    saga = _running(state)
    if isinstance(command, Remove):
        return _observed_removing(state, saga, command, seen, epoch=epoch)
    if seen.presence is Presence.FOREIGN:
        return _give_up(saga, command, epoch, "not_ours", seen.detail)
    if _would_duplicate(state, command, seen, previous):
        detail = "the new inputs name a different thing; delete the resource and apply it again"
        return _give_up(saga, command, epoch, "cannot_change", detail)
    if seen.as_asked and seen.ready:
        return [_reached(saga, command, seen, epoch=epoch)]
    if seen.as_asked and not overdue:
        return []
    if seen.as_asked:
        detail = f"not ready within {command.ready_within:g} seconds: {seen.detail}"
        return _give_up(saga, command, epoch, "not_ready", detail)
    if _was_tried(saga, command, epoch):
        return decide_outcome(state, command, _no_effect(seen), epoch=epoch)
    absent = seen.presence is Presence.ABSENT
    action: Literal["create", "update", "restore"] = "create" if absent else "update"
    return [
        _start(saga, command, "restore" if command.restoring else action, seen, epoch=epoch),
    ]


def _would_duplicate(
    state: ResourceState, command: Ensure, seen: Observation, previous: Observation | None
) -> bool:
    """Return whether acting would create a second thing and lose the one that is applied."""
    before = state.previously(command.step)
    if before is None or command.restoring:
        return False
    if before.adapter != command.adapter:
        return True
    still_there = previous is not None and previous.presence is Presence.OURS
    return still_there and seen.presence is Presence.ABSENT


def _was_tried(saga: Saga, command: Ensure | Remove, epoch: int) -> bool:
    """Return whether this lease has called the backend for ``command`` already."""
    touched = saga.step(command.step)
    return (
        touched is not None
        and touched.status == "started"
        and touched.operation_key == command.operation_key
        and touched.epoch == epoch
    )


def _no_effect(seen: Observation) -> Outcome:
    differs = f" ({', '.join(seen.differs)})" if seen.differs else ""
    detail = f"the backend was called, but the result is not as requested{differs}"
    return Outcome.not_done("no_effect", detail, permanent=False)


def _observed_removing(
    state: ResourceState, saga: Saga, command: Remove, seen: Observation, *, epoch: int
) -> Facts:
    if seen.presence is Presence.OURS and _was_tried(saga, command, epoch):
        return decide_outcome(state, command, _no_effect(seen), epoch=epoch)
    if seen.presence is Presence.OURS:
        return [_start(saga, command, "remove", seen, epoch=epoch)]
    if seen.presence is Presence.ABSENT or command.undoing:
        # A foreign thing was never created by this operation: nothing of ours exists.
        touched = saga.step(command.step)
        was_there = touched is not None and touched.reverted
        about = _about(saga, command)
        return [StepUndone(**about, restored=False, was_there=was_there, epoch=epoch)]
    return _give_up(saga, command, epoch, "not_ours", seen.detail)


def _give_up(saga: Saga, command: Ensure | Remove, epoch: int, reason: str, detail: str) -> Facts:
    """Fail permanently, or become stuck if ``command`` undoes something: a retry cannot help."""
    if isinstance(command, Ensure) and not command.restoring:
        return [_failure(saga, command, epoch, reason, detail, permanent=True)]
    return [] if saga.stuck else [_stuck(saga, command, reason, detail)]


def decide_outcome(
    state: ResourceState, command: Ensure | Remove, outcome: Outcome, *, epoch: int
) -> Facts:
    """Decide what a backend's outcome means; done and unknown are observed before recording."""
    if outcome.result is not Result.NOT_DONE:
        return []
    saga = _running(state)
    attempt = saga.failures + 1
    undoing = isinstance(command, Remove) or command.restoring
    limit = ATTEMPTS_UNAVAILABLE if outcome.reason == UNAVAILABLE else ATTEMPTS
    permanent = outcome.permanent or attempt >= limit
    facts: list[OperationFact] = [
        _failure(
            saga,
            command,
            epoch,
            outcome.reason,
            outcome.detail,
            permanent=permanent and not undoing,
        )
    ]
    if undoing and permanent and not saga.stuck:
        facts.append(_stuck(saga, command, outcome.reason, outcome.detail))
    return facts


def decide_unplannable(state: ResourceState, error: TemplateError, *, epoch: int) -> Facts:
    """Fail the operation: an expression of its plan cannot be resolved."""
    saga = _running(state)
    planned = _next_planned(saga)
    return [
        StepFailed(
            operation=saga.intent.operation,
            resource=saga.intent.resource,
            generation=saga.intent.generation,
            step=planned.name,
            adapter=planned.adapter,
            reason="bad_plan",
            detail=str(error),
            permanent=True,
            attempt=1,
            epoch=epoch,
        )
    ]


def _next_planned(saga: Saga) -> PlanStep:
    """Return the step that comes next; the last one if only the outputs are left."""
    known = scope(saga)
    for planned in saga.intent.plan.steps:
        touched = saga.step(planned.name)
        done = touched is not None and touched.status == "succeeded"
        if not done and not _is_left_out(planned, known):
            return planned
    return saga.intent.plan.steps[-1]


def _is_left_out(planned: PlanStep, known: dict[str, Any]) -> bool:
    try:
        return planned.when is not None and not truthy(planned.when, known)
    except TemplateError:
        return False


def decide_finished(state: ResourceState) -> Facts:
    """Decide the last fact of an operation whose every effect is done."""
    saga = _running(state)
    if saga.phase == "undo":
        return [_failed_and_undone(state, saga)]
    if saga.intent.action == "delete":
        return [ResourceDeleted(**_ended(saga))]
    outputs = resolve_outputs(saga.intent.plan.outputs, scope(saga))
    changed = any(step.changed for step in saga.steps)
    change: Literal["created", "updated", "unchanged"] = "updated" if changed else "unchanged"
    return [
        ResourceProvisioned(
            **_ended(saga),
            change=change if state.applied else "created",
            promise=saga.intent.promise,
            spec=saga.intent.spec,
            outputs=outputs,
        )
    ]


def _failed_and_undone(state: ResourceState, saga: Saga) -> ResourceFailed:
    undone = [step.name for step in reversed(saga.steps) if step.reverted]
    return ResourceFailed(
        **_ended(saga),
        failed_step=saga.failed_step,
        reason=saga.reason,
        detail=saga.detail,
        undone=tuple(undone),
        left="previous" if state.applied else "absent",
    )


def _reached(saga: Saga, command: Ensure, seen: Observation, *, epoch: int) -> OperationFact:
    touched = saga.step(command.step)
    started = touched is not None and touched.status == "started"
    if command.restoring:
        return StepUndone(**_about(saga, command), restored=True, was_there=True, epoch=epoch)
    return StepSucceeded(
        **_about(saga, command),
        inputs=dict(command.inputs),
        outputs=dict(seen.outputs),
        changed=started,
        observed_after_unknown=touched is not None and started and touched.epoch != epoch,
        epoch=epoch,
    )


def _start(
    saga: Saga,
    command: Ensure | Remove,
    action: Literal["create", "update", "restore", "remove"],
    seen: Observation,
    *,
    epoch: int,
) -> StepStarted:
    return StepStarted(
        **_about(saga, command),
        action=action,
        inputs=dict(command.inputs),
        observed="absent" if seen.presence is Presence.ABSENT else "ours",
        operation_key=command.operation_key,
        epoch=epoch,
        attempt=saga.failures + 1,
    )


def _failure(
    saga: Saga, command: Ensure | Remove, epoch: int, reason: str, detail: str, *, permanent: bool
) -> StepFailed:
    return StepFailed(
        **_about(saga, command),
        reason=reason,
        detail=detail,
        permanent=permanent,
        attempt=saga.failures + 1,
        epoch=epoch,
    )


def _stuck(saga: Saga, command: Ensure | Remove, reason: str, detail: str) -> ResourceStuck:
    return ResourceStuck(
        **_ended(saga),
        step=command.step,
        reason=reason,
        detail=detail,
        remedy="Remove the obstacle; busbar checks again every minute and continues by itself.",
    )


def _about(saga: Saga, command: Ensure | Remove) -> dict[str, Any]:
    return {
        "operation": saga.intent.operation,
        "resource": saga.intent.resource,
        "generation": saga.intent.generation,
        "step": command.step,
        "adapter": command.adapter,
    }


def _ended(saga: Saga) -> dict[str, Any]:
    intent: IntentRef = saga.intent.intent
    return {
        "operation": saga.intent.operation,
        "resource": saga.intent.resource,
        "intent": intent,
        "generation": saga.intent.generation,
    }


def _running(state: ResourceState) -> Saga:
    if state.saga is None:
        raise ValueError("an operation must be running")
    return state.saga
