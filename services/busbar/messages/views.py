"""Views of resources and operations, folded from the published facts.

Everything that folds facts uses these functions: the gateway to answer requests, audit to show the
state at a time, the replay to compare. They are pure: the same facts give the same views.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import Field

from busbar.kernel.clock import format_time
from busbar.messages.base import Fact, JsonObject, Part
from busbar.messages.delayed import ResourceDelayed
from busbar.messages.delivery import (
    DeadLettered,
    DeadLetterRecovered,
)
from busbar.messages.generation import Desired, PendingOperation
from busbar.messages.intervention import Intervened, InterventionAllowed, ResourceReleased
from busbar.messages.policy import (
    IntentAllowed,
    IntentConflicted,
    IntentDenied,
    IntentExpired,
)
from busbar.messages.request import RequestAllowed
from busbar.messages.request_views import request_change
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

OperationStatus = Literal[
    "received", "running", "stuck", "succeeded", "failed", "denied", "cancelled", "expired"
]

"""The status of an operation. ``cancelled`` comes with cancellation: no operation has it yet."""

ENDED: frozenset[str] = frozenset({"succeeded", "failed", "denied", "cancelled", "expired"})
"""The final statuses; an operation ends in exactly one of them."""

_RANK = {"received": 0, "running": 1, "stuck": 2}
"""The order of statuses. Facts of several topics arrive in any order; a status never goes back."""

ResourceStatus = Literal[
    "provisioning", "ready", "failed", "deleting", "deleted", "released", "stuck"
]
SettledStatus = Literal["ready", "failed", "deleted", "released"]

_Stepwise = StepStarted | StepSucceeded | StepFailed | StepUndone | StepRetained


class StepView(Part):
    """The progress of one step of an operation."""

    name: str
    adapter: str
    status: Literal["started", "succeeded", "failed", "undone", "left"]
    detail: str = ""


class OperationView(Part):
    """The processing of one intent."""

    id: str
    status: OperationStatus = Field(
        description="`succeeded`, `failed`, `denied`, `cancelled` and `expired` are final; `stuck`"
        " needs a person. `cancelled` comes with cancellation: no operation has it yet."
    )
    resource: str | None = None
    about: str = Field(
        default="", description="What else it is about: a subscription, or a dead letter."
    )
    intent: JsonObject = Field(
        default_factory=dict,
        description="Its source, id and type; if the record could not be read, or its sender is not"
        " verified, only what it says.",
    )
    reason: str = ""
    detail: str = ""
    fix: str = Field(default="", description="The next step, if `detail` ends with one.")
    dead_letter: str = Field(
        default="",
        description="The dead letter of a record that was denied because it could not be read.",
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
    generation: int = Field(
        default=0,
        description="The desired state that was accepted last and has not failed: the number that"
        " `expected_generation` is compared with; 0 if the resource does not exist.",
    )
    observed_generation: int = Field(
        default=0, description="The generation that was provisioned last; 0 if none is."
    )
    pending: tuple[PendingOperation, ...] = Field(
        default=(), description="The operations that have not ended, oldest first."
    )
    settled: SettledStatus | None = Field(
        default=None,
        description="The status that the last operation to end left; null if none has ended.",
    )
    promise: JsonObject = Field(default_factory=dict)
    spec: JsonObject = Field(default_factory=dict)
    outputs: JsonObject = Field(default_factory=dict)
    operation: str = Field(default="", description="The operation that changed it last.")
    detail: str = ""
    updated: str = Field(default="", description="Time of the last fact.")

    @property
    def desired(self) -> Desired:
        """The desired state of the resource."""
        return Desired(pending=self.pending, settled=0 if self.pending else self.generation)


def evolve_operation(view: OperationView | None, fact: Fact, *, time: str) -> OperationView | None:
    """Return the operation's view after ``fact``, which was recorded at ``time``."""
    if isinstance(fact, DeadLettered) and fact.refused:
        return _refused(view, fact, time)
    # Nothing is known from a record that could not be read.
    before = None if view is not None and view.dead_letter else view
    change = _operation_change(before, fact)
    if change is None:
        return view
    known: Mapping[str, Any] = dict(before) if before is not None else {"status": "received"}
    if isinstance(fact, DeadLetterRecovered) and known["status"] != "stuck":
        if before is None:
            return view
        change = {}
    if not isinstance(fact, DeadLetterRecovered) and _is_behind(change, known):
        change = {name: value for name, value in change.items() if name in _ALWAYS}
    operation = fact.operation_id or known.get("id", "")
    updated = max(time, known.get("updated", ""))
    return OperationView.model_validate({**known, **change, "id": operation, "updated": updated})


def _refused(view: OperationView | None, fact: DeadLettered, time: str) -> OperationView | None:
    """Return the view after a record was refused; a decision about it says more than that."""
    if view is not None:
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


_ALWAYS = frozenset({"resource", "about", "intent", "warnings"})
"""The fields that a fact sets in a view that is already ahead of it."""


def _is_behind(change: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    status = change.get("status", known["status"])
    return _RANK.get(status, len(_RANK)) < _RANK.get(known["status"], len(_RANK))


def _operation_change(view: OperationView | None, fact: Fact) -> Mapping[str, Any] | None:
    match fact:
        case IntentAllowed() | IntentDenied() | IntentExpired() | InterventionAllowed():
            return _judged(fact)
        case RequestAllowed():
            return {"status": "running", "about": fact.about, "intent": fact.intent.model_dump()}
        case IntentConflicted():
            return {"conflicts": (view.conflicts if view else 0) + 1}
        case ResourceQueued():
            joined = f"it ends together with operation {fact.joins}" if fact.joins else ""
            return {"status": "running", "resource": fact.resource, "detail": joined}
        case StepStarted() | StepSucceeded() | StepFailed() | StepUndone() | StepRetained():
            return {"steps": _steps(view, fact)}
        case ResourceProvisioned():
            done = {"status": "succeeded", "outputs": fact.outputs, "detail": fact.what_happened}
            return {**done, "reason": ""}
        case ResourceDeleted():
            detail = "deleted" if fact.existed else "there was nothing to delete"
            return {"status": "succeeded", "detail": detail, "reason": ""}
        case ResourceFailed():
            return {"status": "failed", "reason": fact.reason, "detail": _why_and_what(fact)}
        case ResourceStuck():
            return {"status": "stuck", "reason": fact.reason, "detail": fact.detail}
        case ResourceReleased() | Intervened() | ResourceDelayed():
            return _intervened(fact)
        case _:
            return request_change(fact)


def _waiting(fact: ResourceDelayed) -> str:
    return (
        f"it waits until {format_time(fact.until)}, as an unanswered call of step {fact.step} may"
        " still be carried out"
    )


def _intervened(fact: ResourceReleased | Intervened | ResourceDelayed) -> Mapping[str, Any]:
    if isinstance(fact, ResourceDelayed):
        return {"detail": _waiting(fact)}
    if isinstance(fact, ResourceReleased):
        detail = "released" if fact.remains else "there was nothing to release"
        return {"status": "succeeded", "detail": detail, "reason": ""}
    status, reason = ("succeeded", "") if fact.done else ("failed", "no_effect")
    return {"status": status, "reason": reason, "detail": fact.detail}


def _judged(
    fact: IntentAllowed | IntentDenied | IntentExpired | InterventionAllowed,
) -> Mapping[str, Any]:
    known = {"resource": fact.resource, "intent": fact.intent.model_dump()}
    match fact:
        case IntentAllowed():
            warnings = [warning.model_dump() for warning in fact.warnings]
            return {**known, "status": "running", "warnings": warnings}
        case InterventionAllowed():
            return {**known, "status": "running"}
        case IntentDenied():
            violations = [violation.model_dump() for violation in fact.violations]
            denied = {"status": "denied", "reason": fact.reason, "detail": ""}
            return {**known, **denied, "violations": violations}
        case IntentExpired():
            return {**known, "status": "expired", "reason": "expired"}


def _steps(view: OperationView | None, fact: _Stepwise) -> list[JsonObject | StepView]:
    status, detail = "started", ""
    match fact:
        case StepSucceeded():
            status = "succeeded"
        case StepFailed():
            status, detail = "failed", fact.detail
        case StepUndone():
            status = "undone"
        case StepRetained():
            status, detail = "left", fact.detail
        case StepStarted():
            detail = fact.action
    new = {"name": fact.step, "adapter": fact.adapter, "status": status, "detail": detail}
    steps = view.steps if view else ()
    if any(step.name == fact.step for step in steps):
        return [new if step.name == fact.step else step for step in steps]
    return [*steps, new]


def evolve_resource(view: ResourceView | None, fact: Fact, *, time: str) -> ResourceView | None:
    """Return the resource's view after ``fact``, which was recorded at ``time``."""
    change = _resource_change(view, fact)
    if change is None:
        return view
    known = dict(view) if view is not None else {"status": "provisioning"}
    about = {"id": fact.resource_id, "operation": fact.operation_id or ""}
    return ResourceView.model_validate({**known, **change, **about, "updated": time})


def _resource_change(view: ResourceView | None, fact: Fact) -> Mapping[str, Any] | None:
    desired = view.desired if view is not None else Desired()
    match fact:
        case ResourceQueued():
            desired = desired.accept(fact.operation, fact.action, fact.generation)
            return _wanted(desired, "provisioning")
        case ResourceProvisioned():
            return {
                **_settled(desired.after(fact), "ready"),
                "observed_generation": fact.generation,
                "promise": fact.promise.model_dump(),
                "spec": fact.spec,
                "outputs": fact.outputs,
                "detail": fact.what_happened,
            }
        case ResourceDeleted():
            return {**_GONE, **_settled(desired.after(fact), "deleted")}
        case ResourceFailed():
            return _failed(view, desired.after(fact), fact)
        case ResourceStuck():
            return {"status": "stuck", "detail": fact.detail}
        case ResourceDelayed():
            return {"detail": _waiting(fact)}
        case ResourceReleased():
            known = {**_GONE, **_settled(Desired(), "released")}
            return {**known, "detail": "busbar does not manage it any more"}
        case _:
            return None


_GONE: Final[Mapping[str, Any]] = {
    "spec": {},
    "outputs": {},
    "detail": "",
    "observed_generation": 0,
}


def _failed(view: ResourceView | None, desired: Desired, fact: ResourceFailed) -> Mapping[str, Any]:
    gone = _GONE if fact.left == "absent" else {}
    as_before: SettledStatus = "failed"
    if fact.left == "previous" and view is not None:
        # An instance of an earlier build keeps no settled status; it knows no partial failures.
        as_before = view.settled or "ready"
    return {**gone, **_settled(desired, as_before), "detail": _why_and_what(fact)}


def _settled(desired: Desired, status: SettledStatus) -> Mapping[str, Any]:
    """Return what is wanted after an operation has ended and left ``status``."""
    return {**_wanted(desired, status), "settled": status}


def _why_and_what(fact: ResourceFailed) -> str:
    """Return why the operation failed, and what exists now."""
    return f"{fact.detail.removesuffix('.')}; now {fact.what_is_left}"


def _wanted(desired: Desired, otherwise: ResourceStatus) -> Mapping[str, Any]:
    """Return what is wanted, and the status: ``otherwise`` if no operation is pending."""
    status: ResourceStatus = otherwise
    if desired.pending:
        status = "deleting" if desired.pending[-1].action == "delete" else "provisioning"
    pending = tuple(one.model_dump(mode="json") for one in desired.pending)
    return {"generation": desired.generation, "pending": pending, "status": status}
