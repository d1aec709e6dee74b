"""Decides what an intent, an observation or an outcome means for a resource; pure."""

from datetime import datetime
from typing import Any, Literal

from busbar.backends.port import TIMEOUT, UNAVAILABLE, Observation, Outcome, Presence, Result
from busbar.kernel.expressions import TemplateError, truthy
from busbar.messages.base import OperationFact
from busbar.messages.delayed import ResourceDelayed
from busbar.messages.plan import PlanStep
from busbar.messages.policy import IntentAllowed
from busbar.messages.resource import ResourceQueued, ResourceStuck, StepFailed, StepUndone
from busbar.provisioner.domain.commands import (
    Effect,
    Ensure,
    Look,
    Remove,
    contrary_to,
    scope,
)
from busbar.provisioner.domain.ends import abandoned
from busbar.provisioner.domain.facts import (
    Facts,
    Turn,
    about,
    ended,
    running,
    step_failed,
    step_reached,
    step_retained,
    step_started,
    stuck,
)
from busbar.provisioner.domain.state import ResourceState, Saga

ATTEMPTS = 5
"""Attempts at a step before it has failed permanently, or its undo is stuck."""

ATTEMPTS_UNAVAILABLE = 15
"""The same while the backend is unavailable: minutes, as it may be restarting."""


def decide_queued(
    state: ResourceState,
    allowed: IntentAllowed,
    *,
    correlation: str,
    traceparent: str | None,
    onbehalfof: str | None = None,
    allowed_at: datetime | None = None,
) -> Facts:
    """Queue an allowed intent, once; it joins the operation before it if that does the same."""
    if allowed.operation in {*state.ended, *(one.operation for one in state.waiting)}:
        return []
    saga = state.saga
    last = state.queue[-1] if state.queue else saga.intent if saga is not None else None
    joins = last if last is not None and _does_the_same(state, last, allowed) else None
    queued = ResourceQueued(
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
        onbehalfof=onbehalfof,
        allowed_at=allowed_at,
        joins=joins.operation if joins is not None else None,
    )
    return [queued]


def _does_the_same(state: ResourceState, last: ResourceQueued, allowed: IntentAllowed) -> bool:
    """Return whether ``last`` has yet to reach exactly what is allowed now."""
    saga = state.saga
    if saga is not None and saga.intent == last and saga.phase != "forward":
        return False
    if last.action == "delete" or allowed.action == "delete":
        return last.action == allowed.action
    wanted = (allowed.promise, allowed.spec, allowed.plan)
    return (last.promise, last.spec, last.plan) == wanted


def decide_observed(
    state: ResourceState,
    command: Effect,
    seen: Observation,
    turn: Turn,
    *,
    overdue: bool,
    previous: Observation | None = None,
) -> Facts:
    """Decide what the observation ``seen`` means for ``command``.

    ``previous`` is the observation with the inputs that the step was applied with before; it is
    required if nothing is found with the new ones. A :class:`StepStarted` means: act now. No fact
    means: observe again later.
    """
    saga = running(state)
    if isinstance(command, Remove):
        return _observed_removing(state, command, seen, turn)
    if seen.presence is Presence.FOREIGN:
        advice = "" if command.restoring else "; choose another name, or remove or adopt it"
        return _refuse(state, command, seen, turn, ("not_ours", f"{seen.detail}{advice}"))
    if _would_duplicate(state, command, seen, previous):
        detail = "the new inputs name a different thing; delete the resource and apply it again"
        return _refuse(state, command, seen, turn, ("cannot_change", detail))
    if seen.as_asked and _has_to_reach(state, command, turn):
        return _reach(state, command, seen, turn)
    if seen.as_asked and (seen.ready or (overdue and command.restoring)):
        # An undo restores inputs; whether the thing becomes ready again is not in its power.
        settled = _is_settled(state, command, turn)
        return [step_reached(saga, command, seen, turn, settled=settled)]
    if seen.as_asked and not overdue:
        return []
    if seen.as_asked:
        detail = f"not ready within {command.ready_within:g} seconds: {seen.detail}"
        return _refuse(state, command, seen, turn, ("not_ready", detail))
    if _was_tried(saga, command, turn.epoch):
        return decide_outcome(state, command, _no_effect(seen, turn), turn, seen=seen)
    absent = seen.presence is Presence.ABSENT
    action: Literal["create", "update", "restore"] = "create" if absent else "update"
    return [step_started(saga, command, "restore" if command.restoring else action, seen, turn)]


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


def _was_tried(saga: Saga, command: Effect, epoch: int) -> bool:
    """Return whether this lease has called the backend for ``command`` already."""
    touched = saga.step(command.step)
    return (
        touched is not None
        and touched.status == "started"
        and touched.operation_key == command.operation_key
        and touched.epoch == epoch
    )


def _no_effect(seen: Observation, turn: Turn) -> Outcome:
    """Return why the last call had no effect: what came instead of its answer, if anything."""
    if turn.unanswered is not None:
        return turn.unanswered
    differs = f" ({', '.join(seen.differs)})" if seen.differs else ""
    detail = f"the backend was called, but the result is not as requested{differs}"
    return Outcome.unknown("no_effect", detail)


def _observed_removing(
    state: ResourceState, command: Remove, seen: Observation, turn: Turn
) -> Facts:
    saga = running(state)
    if seen.presence is Presence.OURS and _was_tried(saga, command, turn.epoch):
        return decide_outcome(state, command, _no_effect(seen, turn), turn, seen=seen)
    if seen.presence is Presence.OURS:
        return [step_started(saga, command, "remove", seen, turn)]
    if seen.presence is Presence.ABSENT and _has_to_reach(state, command, turn):
        return _reach(state, command, seen, turn)
    if seen.presence is Presence.ABSENT or command.undoing:
        # A foreign thing was never created by this operation: nothing of ours exists.
        touched = saga.step(command.step)
        was_there = touched is not None and touched.reverted
        known = {**about(saga, command), "settled": _is_settled(state, command, turn)}
        known |= {"confirmed": turn.confirmed, "epoch": turn.epoch}
        return [StepUndone(**known, restored=False, was_there=was_there)]
    return _refuse(state, command, seen, turn, ("not_ours", seen.detail))


def _has_to_reach(state: ResourceState, command: Effect, turn: Turn) -> bool:
    """Return whether the backend has to be called although nothing seems to be left to do.

    An earlier call may still be carried out. A backend can refuse it only if it has been called
    with a newer epoch. After as many attempts as at any effect, what is observed has to do.
    """
    late = any(one.is_late(turn.now) for one in contrary_to(state, command))
    return late and not turn.confirmed and running(state).failures < ATTEMPTS


def _reach(
    state: ResourceState,
    command: Effect,
    seen: Observation,
    turn: Turn,
) -> Facts:
    saga = running(state)
    if _was_tried(saga, command, turn.epoch):
        detail = "the backend did not confirm the call, and an earlier one may still be carried out"
        reason = "answer_lost"
        if turn.unanswered is not None:
            reason, detail = turn.unanswered.reason, turn.unanswered.detail
        failed = step_failed(saga, command, turn, reason=reason, detail=detail, permanent=False)
        still_stuck = saga.stuck is not None
        return [failed, *(_blocked(state, command, turn, reason, detail) if still_stuck else ())]
    if isinstance(command, Remove):
        return [step_started(saga, command, "remove", seen, turn)]
    action: Literal["restore", "update"] = "restore" if command.restoring else "update"
    return [step_started(saga, command, action, seen, turn)]


def _is_settled(state: ResourceState, command: Effect, turn: Turn) -> bool:
    """Return whether no earlier call can change any more what is observed now.

    A call without a time cannot once a newer one is confirmed; nor where the object is foreign.
    """
    calls = contrary_to(state, command)
    return bool(calls) and all(one.until is None or one.until <= turn.now for one in calls)


def decide_waiting(state: ResourceState, command: Effect, turn: Turn) -> Facts:
    """Record, once, that the operation waits for the time at which ``command`` looks again."""
    saga, until = running(state), command.settles_at
    if until is None or until <= turn.now or saga.waiting == until:
        return []
    return [ResourceDelayed(**ended(saga.intent), step=command.step, until=until)]


def _refuse(
    state: ResourceState,
    command: Effect,
    seen: Observation,
    turn: Turn,
    why: tuple[str, str],
) -> Facts:
    """Decide about a command that cannot succeed, given what was observed, and ``why``."""
    saga, (reason, detail) = running(state), why
    if _is_undo(command):
        return [step_retained(saga, command, seen, turn, reason=reason, detail=detail)]
    if saga.intent.action == "delete":
        return _blocked(state, command, turn, reason, detail)
    return [step_failed(saga, command, turn, reason=reason, detail=detail, permanent=True)]


def _blocked(
    state: ResourceState, command: Effect, turn: Turn, reason: str, detail: str
) -> list[OperationFact]:
    """Decide about an operation that cannot go on now: it waits, unless another waits for it.

    That it is stuck is recorded once for each reason. What joined after the attempt began waits for
    its own.
    """
    saga = running(state)
    if state.queue:
        return [abandoned(saga.intent, by=state.queue[0].operation, reason="superseded")]
    now = stuck(saga, command, turn, reason, detail)
    facts: list[OperationFact] = [] if _is_known(saga.stuck, now) else [now]
    for one in state.joined_to(saga.intent.operation):
        known = one.stuck if saga.stuck is not None else None
        if one.intent.operation not in turn.joined_since and not _is_known(known, now):
            facts.append(now.model_copy(update=ended(one.intent)))
    return facts


def _is_known(known: ResourceStuck | None, now: ResourceStuck) -> bool:
    """Return whether ``known`` has the same reason as ``now``."""
    if known is None:
        return False
    return (known.step, known.reason, known.detail) == (now.step, now.reason, now.detail)


def decide_outcome(
    state: ResourceState,
    command: Effect,
    outcome: Outcome,
    turn: Turn,
    *,
    answered: bool = False,
    seen: Observation | None = None,
    after: Observation | None = None,
) -> Facts:
    """Decide what the failure of an attempt means.

    ``answered`` means that the backend was called and gave this outcome; ``seen`` was observed
    before the call, ``after`` after it. What the backend has done, or may have done, is observed
    before it is recorded.
    """
    if outcome.result is Result.DONE:
        return []
    saga = running(state)
    attempt = saga.failures + 1
    limit = ATTEMPTS_UNAVAILABLE if outcome.reason == UNAVAILABLE else ATTEMPTS
    refused = answered and outcome.result is Result.NOT_DONE
    for_good = outcome.permanent and (refused or not _is_undo(command))
    if for_good and _is_undo(command):
        last, (reason, detail) = after or seen, (outcome.reason, outcome.detail)
        left = step_retained(saga, command, last, turn, reason=reason, detail=detail, refused=True)
        return [left]
    waits = _is_undo(command) or saga.intent.action == "delete"
    is_over = outcome.permanent or attempt >= limit or saga.stuck is not None
    failed = step_failed(
        saga,
        command,
        turn,
        reason=outcome.reason,
        detail=_counted(outcome, attempt),
        permanent=is_over and not waits,
        refused=refused,
        unchanged=refused and _is_unchanged(seen, after),
    )
    if not (waits and is_over):
        return [failed]
    return [failed, *_blocked(state, command, turn, outcome.reason, outcome.detail)]


def _counted(outcome: Outcome, attempt: int) -> str:
    """Return the detail of ``outcome``; with the number of attempts if the backend is silent."""
    is_silent = outcome.reason in (UNAVAILABLE, TIMEOUT)
    return f"{outcome.detail} ({attempt} attempts)" if is_silent and attempt > 1 else outcome.detail


def _is_undo(command: Effect) -> bool:
    return command.undoing if isinstance(command, Remove) else command.restoring


def _is_unchanged(seen: Observation | None, after: Observation | None) -> bool:
    """Return whether both observations show the same thing, whether it is ready or not."""
    if seen is None or after is None:
        return False
    shown = (seen.presence, seen.differs, seen.outputs)
    return shown == (after.presence, after.differs, after.outputs)


def decide_looked(
    state: ResourceState, command: Look, seen: Observation | None, turn: Turn
) -> Facts:
    """Record what is there of a step that stays as it is; None if it cannot be observed."""
    saga, reason, detail = running(state), command.reason, command.detail
    return [step_retained(saga, command, seen, turn, reason=reason, detail=detail)]


def decide_unplannable(state: ResourceState, error: TemplateError, turn: Turn) -> Facts:
    """Fail the operation: an expression of its plan cannot be resolved."""
    saga = running(state)
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
            epoch=turn.epoch,
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
