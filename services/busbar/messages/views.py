"""Views of resources and operations, folded from the published facts.

Everything that folds facts uses these functions: the gateway to answer requests, audit to show the
state at a time, the replay to compare. They are pure: the same facts give the same views.
"""

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from busbar.messages.base import Fact, JsonObject, Part
from busbar.messages.delivery import (
    DeadLetterDiscarded,
    DeadLettered,
    DeadLetterRecovered,
    DeadLetterRedriven,
)
from busbar.messages.notification import Subscribed, SubscriptionRefused, Unsubscribed
from busbar.messages.policy import IntentAllowed, IntentConflicted, IntentDenied, IntentExpired
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

OperationStatus = Literal[
    "received", "running", "stuck", "succeeded", "failed", "denied", "cancelled", "expired"
]

"""The status of an operation. ``cancelled`` comes with cancellation: no operation has it yet."""

ENDED: frozenset[str] = frozenset({"succeeded", "failed", "denied", "cancelled", "expired"})
"""The final statuses; an operation ends in exactly one of them."""

_RANK = {"received": 0, "running": 1, "stuck": 2}
"""The order of statuses. Facts of several topics arrive in any order; a status never goes back."""

ResourceStatus = Literal["provisioning", "ready", "failed", "deleting", "deleted", "stuck"]


class StepView(Part):
    """The progress of one step of an operation."""

    name: str
    adapter: str
    status: Literal["started", "succeeded", "failed", "undone"]
    detail: str = ""


class OperationView(Part):
    """The processing of one intent."""

    id: str
    status: OperationStatus = Field(
        description="`succeeded`, `failed`, `denied`, `cancelled` and `expired` are final; `stuck`"
        " needs a person. `cancelled` comes with cancellation: no operation has it yet."
    )
    resource: str | None = None
    intent: JsonObject = Field(default_factory=dict)
    reason: str = ""
    detail: str = ""
    dead_letter: str = Field(
        default="",
        description="The dead letter of a record that was denied because it could not be read. An"
        " event with the same source and id that can be read takes the place of the denial.",
    )
    violations: tuple[JsonObject, ...] = ()
    warnings: tuple[JsonObject, ...] = ()
    steps: tuple[StepView, ...] = ()
    outputs: JsonObject = Field(default_factory=dict)
    conflicts: int = Field(
        default=0, description="How often the same id was used for another body."
    )
    updated: str = Field(default="", description="Time of the last fact.")

    @property
    def ended(self) -> bool:
        """True if the status is final."""
        return self.status in ENDED


class ResourceView(Part):
    """The state of one resource."""

    id: str
    status: ResourceStatus
    generation: int = 0
    promise: JsonObject = Field(default_factory=dict)
    spec: JsonObject = Field(default_factory=dict)
    outputs: JsonObject = Field(default_factory=dict)
    operation: str = Field(default="", description="The operation that changed it last.")
    detail: str = ""
    updated: str = Field(default="", description="Time of the last fact.")


def evolve_operation(view: OperationView | None, fact: Fact, *, time: str) -> OperationView | None:
    """Return the operation's view after ``fact``, which was recorded at ``time``."""
    if isinstance(fact, DeadLettered) and fact.refused:
        return _refused(view, fact, time)
    # Nothing is known from a record that could not be read.
    before = None if view is not None and view.dead_letter else view
    change = _operation_change(before, fact)
    if change is None:
        return view
    known = before.model_dump() if before is not None else {"status": "received"}
    if isinstance(fact, DeadLetterRecovered) and known["status"] != "stuck":
        return view
    if not isinstance(fact, DeadLetterRecovered) and _is_behind(change, known):
        change = {name: value for name, value in change.items() if name in _ALWAYS}
    operation = fact.operation_id or known.get("id", "")
    updated = max(time, known.get("updated", ""))
    return OperationView.model_validate({**known, **change, "id": operation, "updated": updated})


def _refused(view: OperationView | None, fact: DeadLettered, time: str) -> OperationView | None:
    """Return the view after a record was refused; it hides no event that could be read.

    Of several records with one source and id that cannot be read, the newest is shown.
    """
    if view is not None and not (
        view.dead_letter and (view.updated, view.dead_letter) < (time, fact.dead_letter)
    ):
        return view
    return OperationView(
        id=fact.operation_id or "",
        status="denied",
        intent=fact.intent.model_dump() if fact.intent else {},
        reason=fact.reason,
        detail=fact.detail,
        dead_letter=fact.dead_letter,
        updated=time,
    )


_ALWAYS = frozenset({"resource", "intent", "warnings"})
"""The fields that a fact sets in a view that is already ahead of it."""


def _is_behind(change: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    status = change.get("status", known["status"])
    return _RANK.get(status, len(_RANK)) < _RANK.get(known["status"], len(_RANK))


def _operation_change(view: OperationView | None, fact: Fact) -> Mapping[str, Any] | None:
    match fact:
        case IntentAllowed() | IntentDenied() | IntentExpired():
            return _judged(fact)
        case IntentConflicted():
            return {"conflicts": (view.conflicts if view else 0) + 1}
        case ResourceQueued():
            return {"status": "running", "resource": fact.resource}
        case StepStarted() | StepSucceeded() | StepFailed() | StepUndone():
            return {"steps": _steps(view, fact)}
        case ResourceProvisioned():
            done = {"status": "succeeded", "outputs": fact.outputs, "detail": fact.change}
            return {**done, "reason": ""}
        case ResourceDeleted():
            return {"status": "succeeded", "detail": "deleted", "reason": ""}
        case ResourceFailed():
            return {"status": "failed", "reason": fact.reason, "detail": fact.detail}
        case ResourceStuck():
            return {"status": "stuck", "reason": fact.reason, "detail": fact.detail}
        case Subscribed() | Unsubscribed():
            return {"status": "succeeded", "intent": fact.intent.model_dump()}
        case SubscriptionRefused():
            refused = {"status": "denied", "intent": fact.intent.model_dump()}
            return {**refused, "reason": fact.reason, "detail": f"{fact.detail}; {fact.fix}"}
        case _:
            return _delivered(fact)


def _delivered(fact: Fact) -> Mapping[str, Any] | None:
    match fact:
        case DeadLettered(operation=UUID()):
            detail = f"{fact.service} could not handle it: {fact.detail}"
            return {"status": "stuck", "reason": fact.reason, "detail": detail}
        case DeadLetterRecovered(operation=UUID()):
            return {"status": "running", "reason": "", "detail": ""}
        case DeadLetterRedriven() | DeadLetterDiscarded():
            status = "succeeded" if fact.outcome in {"handled", "discarded"} else "failed"
            known = {"intent": fact.intent.model_dump(), "detail": fact.detail}
            return {**known, "status": status, "reason": fact.outcome}
        case _:
            return None


def _judged(fact: IntentAllowed | IntentDenied | IntentExpired) -> Mapping[str, Any]:
    known = {"resource": fact.resource, "intent": fact.intent.model_dump()}
    match fact:
        case IntentAllowed():
            warnings = [warning.model_dump() for warning in fact.warnings]
            return {**known, "status": "running", "warnings": warnings}
        case IntentDenied():
            violations = [violation.model_dump() for violation in fact.violations]
            return {**known, "status": "denied", "reason": fact.reason, "violations": violations}
        case IntentExpired():
            return {**known, "status": "expired", "reason": "expired"}


def _steps(
    view: OperationView | None, fact: StepStarted | StepSucceeded | StepFailed | StepUndone
) -> list[JsonObject]:
    status, detail = "started", ""
    match fact:
        case StepSucceeded():
            status = "succeeded"
        case StepFailed():
            status, detail = "failed", fact.detail
        case StepUndone():
            status = "undone"
        case StepStarted():
            detail = fact.action
    new = {"name": fact.step, "adapter": fact.adapter, "status": status, "detail": detail}
    steps = [step.model_dump() for step in view.steps] if view else []
    if any(step["name"] == fact.step for step in steps):
        return [new if step["name"] == fact.step else step for step in steps]
    return [*steps, new]


def evolve_resource(view: ResourceView | None, fact: Fact, *, time: str) -> ResourceView | None:
    """Return the resource's view after ``fact``, which was recorded at ``time``."""
    change = _resource_change(view, fact)
    if change is None:
        return view
    known = view.model_dump() if view is not None else {"status": "provisioning"}
    about = {"id": fact.resource_id, "operation": fact.operation_id or ""}
    return ResourceView.model_validate({**known, **change, **about, "updated": time})


def _resource_change(view: ResourceView | None, fact: Fact) -> Mapping[str, Any] | None:
    match fact:
        case ResourceQueued():
            return {"status": "deleting" if fact.action == "delete" else "provisioning"}
        case ResourceProvisioned():
            return {
                "status": "ready",
                "generation": fact.generation,
                "promise": fact.promise.model_dump(),
                "spec": fact.spec,
                "outputs": fact.outputs,
                "detail": fact.change,
            }
        case ResourceDeleted():
            gone: Mapping[str, Any] = {"spec": {}, "outputs": {}, "detail": ""}
            return {**gone, "status": "deleted", "generation": fact.generation}
        case ResourceFailed():
            still_there = view is not None and view.generation > 0 and fact.left == "previous"
            return {"status": "ready" if still_there else "failed", "detail": fact.detail}
        case ResourceStuck():
            return {"status": "stuck", "detail": fact.detail}
        case _:
            return None
