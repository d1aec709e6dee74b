"""What an observation or an answer means for the running operation. Same input, same facts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from busbar.backends.port import UNAVAILABLE, Observation, Outcome, Presence, Result
from busbar.kernel.template import TemplateError, resolve_outputs, truthy
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
"""Tries of a step before it counts as failed for good, or its undoing as stuck."""

ATTEMPTS_AWAY = 15
"""The same while the backend does not answer: minutes, as it may be starting again."""

Facts = Sequence[OperationFact]


def decide_queued(
    state: ResourceState,
    allowed: IntentAllowed,
    *,
    correlation: str,
    traceparent: str | None,
    allowed_at: datetime | None = None,
) -> Facts:
    """Take an allowed intent over, once."""
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
    """What ``seen`` means for ``command``.

    ``previous`` is what is seen under the inputs that the step was applied with before; it has to
    be given if nothing is seen under the new ones. A :class:`StepStarted` says: act now. No fact
    says: look again later.
    """
    saga = _running(state)
    if isinstance(command, Remove):
        return _observed_removing(state, saga, command, seen, epoch=epoch)
    if seen.presence is Presence.FOREIGN:
        return _give_up(saga, command, epoch, "not_ours", seen.detail)
    if _is_another_thing(state, command, seen, previous):
        detail = "the inputs name another thing; delete the resource and apply it anew"
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


def _is_another_thing(
    state: ResourceState, command: Ensure, seen: Observation, previous: Observation | None
) -> bool:
    """Whether acting would make a second thing and forget the one that is applied."""
    before = state.previously(command.step)
    if before is None or command.restoring:
        return False
    if before.adapter != command.adapter:
        return True
    still_there = previous is not None and previous.presence is Presence.OURS
    return still_there and seen.presence is Presence.ABSENT


def _was_tried(saga: Saga, command: Ensure | Remove, epoch: int) -> bool:
    """Whether this lease has called the backend for it: what is seen is what came of that."""
    touched = saga.step(command.step)
    return (
        touched is not None
        and touched.status == "started"
        and touched.operation_key == command.operation_key
        and touched.epoch == epoch
    )


def _no_effect(seen: Observation) -> Outcome:
    differs = f" ({', '.join(seen.differs)})" if seen.differs else ""
    detail = f"the backend was called, and still it is not as asked for{differs}"
    return Outcome.not_done("no_effect", detail, permanent=False)


def _observed_removing(
    state: ResourceState, saga: Saga, command: Remove, seen: Observation, *, epoch: int
) -> Facts:
    if seen.presence is Presence.OURS and _was_tried(saga, command, epoch):
        return decide_outcome(state, command, _no_effect(seen), epoch=epoch)
    if seen.presence is Presence.OURS:
        return [_start(saga, command, "remove", seen, epoch=epoch)]
    if seen.presence is Presence.ABSENT or command.undoing:
        # What is foreign was never made by this operation: nothing of ours is there.
        touched = saga.step(command.step)
        was_there = touched is not None and touched.taken_back
        about = _about(saga, command)
        return [StepUndone(**about, restored=False, was_there=was_there, epoch=epoch)]
    return _give_up(saga, command, epoch, "not_ours", seen.detail)


def _give_up(saga: Saga, command: Ensure | Remove, epoch: int, reason: str, detail: str) -> Facts:
    """Trying again cannot help: the operation fails, or is stuck if this was the taking back."""
    if isinstance(command, Ensure) and not command.restoring:
        return [_failure(saga, command, epoch, reason, detail, permanent=True)]
    return [] if saga.stuck else [_stuck(saga, command, reason, detail)]


def decide_outcome(
    state: ResourceState, command: Ensure | Remove, outcome: Outcome, *, epoch: int
) -> Facts:
    """What a backend's answer means. Done and unknown mean: look, before anything is believed."""
    if outcome.result is not Result.NOT_DONE:
        return []
    saga = _running(state)
    attempt = saga.failures + 1
    taking_back = isinstance(command, Remove) or command.restoring
    limit = ATTEMPTS_AWAY if outcome.reason == UNAVAILABLE else ATTEMPTS
    permanent = outcome.permanent or attempt >= limit
    facts: list[OperationFact] = [
        _failure(
            saga,
            command,
            epoch,
            outcome.reason,
            outcome.detail,
            permanent=permanent and not taking_back,
        )
    ]
    if taking_back and permanent and not saga.stuck:
        facts.append(_stuck(saga, command, outcome.reason, outcome.detail))
    return facts


def decide_unplannable(state: ResourceState, error: TemplateError, *, epoch: int) -> Facts:
    """An expression of the plan cannot be resolved: the operation fails, nothing is guessed."""
    saga = _running(state)
    culprit = _next_planned(saga)
    return [
        StepFailed(
            operation=saga.intent.operation,
            resource=saga.intent.resource,
            generation=saga.intent.generation,
            step=culprit.name,
            adapter=culprit.adapter,
            reason="bad_plan",
            detail=str(error),
            permanent=True,
            attempt=1,
            epoch=epoch,
        )
    ]


def _next_planned(saga: Saga) -> PlanStep:
    """The step that the operation is at; the last one if only the outputs are left."""
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
    """The last fact of an operation whose every effect is done."""
    saga = _running(state)
    if saga.phase == "undo":
        return [_gave_up(state, saga)]
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


def _gave_up(state: ResourceState, saga: Saga) -> ResourceFailed:
    undone = [step.name for step in reversed(saga.steps) if step.taken_back]
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
        remedy="Remove what is in the way; busbar looks again every minute and goes on by itself.",
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
        raise ValueError("no operation is running")
    return state.saga
