"""The facts that decisions make; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from busbar.backends.port import Observation, Outcome, Presence
from busbar.messages.base import OperationFact
from busbar.messages.remaining import Presence as PresenceNow
from busbar.messages.resource import (
    ResourceQueued,
    ResourceStuck,
    StepFailed,
    StepRetained,
    StepStarted,
    StepSucceeded,
    StepUndone,
)
from busbar.provisioner.domain.commands import Effect, Ensure, Look
from busbar.provisioner.domain.state import ResourceState, Saga

Facts = Sequence[OperationFact]

REMEDY = (
    "Remove the obstacle. busbar tries again at growing intervals, immediately after"
    " `busbar operation retry`, and gives up after `busbar operation abandon` or as soon as another"
    " operation waits behind it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The lease and the time under which something is decided."""

    epoch: int
    now: datetime
    confirmed: bool = False
    """True if the backend has confirmed a call for the command under this lease."""
    settles_at: datetime | None = None
    """When a call that is begun now is certain not to be carried out any more, if unanswered."""
    unanswered: Outcome | None = None
    """What came instead of a clear answer to the last call for the command under this lease."""
    joined_since: frozenset[UUID] = frozenset()
    """The operations that joined after the attempt began: another attempt decides about them."""


def running(state: ResourceState) -> Saga:
    """Return the running operation.

    Raises:
        ValueError: no operation is running.
    """
    if state.saga is None:
        raise ValueError("an operation must be running")
    return state.saga


def about(saga: Saga, command: Effect | Look) -> dict[str, Any]:
    """Return the fields of every fact about a step."""
    return {
        "operation": saga.intent.operation,
        "resource": saga.intent.resource,
        "generation": saga.intent.generation,
        "step": command.step,
        "adapter": command.adapter,
    }


def ended(queued: ResourceQueued) -> dict[str, Any]:
    """Return the fields of every fact about an operation as a whole."""
    return {
        "operation": queued.operation,
        "resource": queued.resource,
        "intent": queued.intent,
        "generation": queued.generation,
    }


def presence_of(seen: Observation | None) -> PresenceNow:
    """Return what a fact says about an observation, or about none."""
    match seen.presence if seen is not None else None:
        case Presence.OURS:
            return "ours"
        case Presence.FOREIGN:
            return "foreign"
        case Presence.ABSENT:
            return "absent"
        case _:
            return "unknown"


def step_reached(
    saga: Saga, command: Ensure, seen: Observation, turn: Turn, *, settled: bool
) -> OperationFact:
    """Return the fact that the step is as the command asks."""
    touched = saga.step(command.step)
    started = touched is not None and touched.status == "started"
    epoch = turn.epoch
    known = {**about(saga, command), "confirmed": turn.confirmed, "settled": settled}
    if command.restoring:
        return StepUndone(**known, restored=True, was_there=True, epoch=epoch)
    return StepSucceeded(
        **known,
        inputs=dict(command.inputs),
        outputs=dict(seen.outputs),
        changed=started,
        observed_after_unknown=touched is not None and started and touched.epoch != epoch,
        epoch=epoch,
    )


def step_started(
    saga: Saga,
    command: Effect,
    action: Literal["create", "update", "restore", "remove"],
    seen: Observation,
    turn: Turn,
) -> StepStarted:
    """Return the intent to act."""
    return StepStarted(
        **about(saga, command),
        action=action,
        inputs=dict(command.inputs),
        observed="absent" if seen.presence is Presence.ABSENT else "ours",
        operation_key=command.operation_key,
        epoch=turn.epoch,
        attempt=saga.failures + 1,
        settles_at=turn.settles_at,
    )


def step_failed(
    saga: Saga,
    command: Effect,
    turn: Turn,
    *,
    reason: str,
    detail: str,
    permanent: bool,
    refused: bool = False,
    unchanged: bool = False,
) -> StepFailed:
    """Return the fact that an attempt failed."""
    return StepFailed(
        **about(saga, command),
        reason=reason,
        detail=detail,
        permanent=permanent,
        attempt=saga.failures + 1,
        epoch=turn.epoch,
        refused=refused,
        unchanged=unchanged,
    )


def step_retained(
    saga: Saga,
    command: Effect | Look,
    seen: Observation | None,
    turn: Turn,
    *,
    reason: str,
    detail: str,
    refused: bool = False,
) -> StepRetained:
    """Return the fact that a step stays as it is, with what is known about it."""
    touched, shown = saga.step(command.step), dict(seen.outputs if seen is not None else {})
    return StepRetained(
        **about(saga, command),
        presence=presence_of(seen),
        inputs=dict((touched.requested if touched is not None else {}) or command.inputs),
        outputs=shown or dict(touched.outputs if touched is not None else {}),
        reason=reason,
        detail=detail,
        epoch=turn.epoch,
        refused=refused,
    )


def stuck(saga: Saga, command: Effect, turn: Turn, reason: str, detail: str) -> ResourceStuck:
    """Return the fact that the operation is stuck, or is still stuck."""
    return ResourceStuck(
        **ended(saga.intent),
        step=command.step,
        reason=reason,
        detail=detail,
        remedy=REMEDY,
        since=saga.stuck.since if saga.stuck is not None else turn.now,
    )
