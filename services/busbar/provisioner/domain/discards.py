"""Decides how the operation of a decision ends that could not be queued, and is given up; pure."""

from typing import Final
from uuid import UUID

from busbar.messages.base import IntentRef, Part, ResourceName
from busbar.messages.intervention import Intervened
from busbar.messages.resource import ResourceFailed
from busbar.provisioner.domain.facts import Facts
from busbar.provisioner.domain.state import ResourceState

REASON: Final = "discarded"


class DiscardedDecision(Part):
    """The fields that every version of a decision has, on an operation or an intervention."""

    operation: UUID
    resource: ResourceName
    intent: IntentRef
    generation: int | None = None
    """None for an intervention."""
    action: str
    target: UUID | None = None
    """The operation that an intervention is about; None for a release."""


def decide_discarded(state: ResourceState, decision: DiscardedDecision, *, by: UUID) -> Facts:
    """End the operation of ``decision``, which operation ``by`` discards, before it has begun."""
    known = {*state.ended, *(one.operation for one in state.waiting)}
    if decision.operation in known:
        return []
    detail = f"provisioner could not begin it, and operation {by} discarded its record"
    if decision.target is not None:
        done = Intervened(
            operation=decision.operation,
            resource=decision.resource,
            intent=decision.intent,
            action="retry" if decision.action == "retry" else "abandon",
            target=decision.target,
            done=False,
            detail=detail,
        )
        return [done]
    failed = ResourceFailed(
        operation=decision.operation,
        resource=decision.resource,
        intent=decision.intent,
        generation=state.generation if decision.generation is None else decision.generation,
        failed_step=None,
        reason=REASON,
        detail=detail,
        undone=(),
        left="previous" if state.applied else "absent",
        observed_generation=state.generation if state.promise is not None else 0,
    )
    return [failed]
