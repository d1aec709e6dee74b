"""The family ``resource``: intents about resources, and the progress of their operations."""

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from busbar.messages import permissions, topics
from busbar.messages.base import (
    EXAMPLE_OPERATION,
    Count,
    Intent,
    IntentRef,
    JsonObject,
    OperationFact,
    Slug,
)
from busbar.messages.plan import Action, Plan, PromiseRef
from busbar.messages.remaining import Presence, Remaining
from busbar.messages.resource_examples import ENDED, KEPT, PROMISE, REFUSED, STEP


class ApplyResource(Intent):
    """Create a resource, or change it to match this spec."""

    TYPE: ClassVar[str] = "busbar.resource.apply.v1"
    TOPIC: ClassVar[str] = topics.INTENTS_RESOURCE
    PERMISSION: ClassVar[str] = permissions.RESOURCE_WRITE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            "team": "payments",
            "environment": "dev",
            "promise": "event-stream",
            "name": "orders",
            "spec": {"partitions": 3, "retention_hours": 24},
        },
        {
            "team": "payments",
            "environment": "dev",
            "promise": "event-stream",
            "name": "orders",
            "version": "v1",
            "spec": {"partitions": 6},
            "expected_generation": 1,
        },
    )

    team: Slug
    environment: Slug
    promise: Slug
    name: Slug
    version: str | None = Field(
        default=None,
        pattern=r"^v[1-9][0-9]*$",
        description="The promise's version; the newest if left out.",
    )
    spec: JsonObject = Field(description="The spec, as the promise's schema defines it.")
    expected_generation: Count | None = Field(
        default=None,
        description="Deny the intent unless this is the resource's generation (0: none exists).",
    )


class DeleteResource(Intent):
    """Delete a resource, its steps in reverse order."""

    TYPE: ClassVar[str] = "busbar.resource.delete.v1"
    TOPIC: ClassVar[str] = topics.INTENTS_RESOURCE
    PERMISSION: ClassVar[str] = permissions.RESOURCE_WRITE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {"team": "payments", "environment": "dev", "promise": "event-stream", "name": "orders"},
    )

    team: Slug
    environment: Slug
    promise: Slug
    name: Slug
    expected_generation: Count | None = None


class ResourceQueued(OperationFact):
    """An operation was queued; operations of one resource run one at a time."""

    TYPE: ClassVar[str] = "busbar.resource.queued.v1"
    TOPIC: ClassVar[str] = topics.FACTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **ENDED,
            "action": "apply",
            "promise": PROMISE,
            "spec": {"partitions": 3},
            "plan": {"steps": [{"name": "topic", "adapter": "kafka-topic", "inputs": {}}]},
            "correlation": EXAMPLE_OPERATION,
        },
    )

    intent: IntentRef
    action: Action
    generation: int
    promise: PromiseRef
    spec: JsonObject
    plan: Plan
    correlation: str = Field(description="The correlationid of all events that follow.")
    traceparent: str | None = Field(default=None, description="W3C trace context of the intent.")
    onbehalfof: str | None = Field(
        default=None, description="The principal that asked: the facts that follow name it."
    )
    allowed_at: AwareDatetime | None = Field(
        default=None, description="When the decision that allowed the operation was recorded."
    )
    joins: UUID | None = Field(
        default=None,
        description="The operation before it that asks for the same; both end together.",
    )


class StepFact(OperationFact):
    """A fact about one step of a running operation."""

    generation: int
    step: Slug
    adapter: Slug


class StepStarted(StepFact):
    """The provisioner has observed the backend and is about to change it."""

    TYPE: ClassVar[str] = "busbar.resource.step-started.v1"
    TOPIC: ClassVar[str] = topics.FACTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **STEP,
            "action": "create",
            "inputs": {"name": "payments.orders", "partitions": 3},
            "observed": "absent",
            "operation_key": "c0ffee00-0000-5000-8000-000000000000",
            "epoch": 1,
            "attempt": 1,
        },
    )

    action: Literal["create", "update", "restore", "remove"]
    inputs: JsonObject
    observed: Literal["absent", "ours"]
    operation_key: str = Field(description="The same for every attempt at the same effect.")
    epoch: int = Field(description="The lease epoch that the backend is called with.")
    attempt: int
    settles_at: AwareDatetime | None = Field(
        default=None,
        description="After this, an unanswered call has been carried out or never will be. Null if"
        " that is certain as soon as the backend confirms a call with a newer epoch.",
    )


class StepSucceeded(StepFact):
    """A step succeeded: its object exists, is ours and matches the inputs."""

    TYPE: ClassVar[str] = "busbar.resource.step-succeeded.v1"
    TOPIC: ClassVar[str] = topics.FACTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **STEP,
            "inputs": {"name": "payments.orders", "partitions": 3},
            "outputs": {"name": "payments.orders"},
            "changed": True,
            "epoch": 1,
        },
    )

    inputs: JsonObject
    outputs: JsonObject
    changed: bool = Field(description="False if it already matched the inputs.")
    observed_after_unknown: bool = Field(
        default=False,
        description="True if the response was lost and the result was found by observing.",
    )
    epoch: int
    confirmed: bool = Field(
        default=False, description="True if the backend confirmed the last call."
    )
    settled: bool = Field(
        default=False,
        description="True if no earlier call to the object may still be carried out.",
    )


class StepFailed(StepFact):
    """An attempt at a step failed. It is retried unless ``permanent``."""

    TYPE: ClassVar[str] = "busbar.resource.step-failed.v1"
    TOPIC: ClassVar[str] = topics.FACTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **STEP,
            "reason": "refused",
            "detail": "the broker has 1 node, so a topic cannot have 3 replicas",
            "permanent": True,
            "attempt": 1,
            "epoch": 1,
        },
    )

    reason: str
    detail: str
    permanent: bool
    attempt: int
    epoch: int
    refused: bool = Field(
        default=False, description="True if the backend answered that it did not do it."
    )
    unchanged: bool = Field(
        default=False,
        description="True if the same was observed after the attempt as before it.",
    )


class StepUndone(StepFact):
    """A step was undone: its object was removed, or restored to its earlier state."""

    TYPE: ClassVar[str] = "busbar.resource.step-undone.v1"
    TOPIC: ClassVar[str] = topics.FACTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {**STEP, "restored": False, "was_there": True, "epoch": 1},
    )

    restored: bool = Field(
        description="True if the earlier state was restored; false if the object was removed."
    )
    was_there: bool = Field(description="False if there was nothing to undo.")
    epoch: int
    confirmed: bool = Field(
        default=False, description="True if the backend confirmed the last call."
    )
    settled: bool = Field(
        default=False,
        description="True if no earlier call to the object may still be carried out.",
    )


class StepRetained(StepFact):
    """A step is not undone: its object stays as it is, and the operation goes on without it."""

    TYPE: ClassVar[str] = "busbar.resource.step-retained.v1"
    TOPIC: ClassVar[str] = topics.FACTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **STEP,
            **KEPT,
            "epoch": 1,
        },
    )

    presence: Presence = Field(description="What was observed last; `unknown` if nothing was.")
    inputs: JsonObject = Field(description="The inputs that it was given last.")
    outputs: JsonObject = Field(description="The outputs that were observed last.")
    reason: str
    detail: str
    epoch: int
    refused: bool = Field(default=False, description="True if the backend refused to undo it.")


class ResourceProvisioned(OperationFact):
    """An operation succeeded: the resource exists and matches the spec."""

    TYPE: ClassVar[str] = "busbar.resource.provisioned.v1"
    TOPIC: ClassVar[str] = topics.FACTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **ENDED,
            "change": "created",
            "promise": PROMISE,
            "spec": {"partitions": 3, "retention_hours": 24},
            "outputs": {"topic": "payments.dev.orders"},
        },
    )

    intent: IntentRef
    generation: int
    change: Literal["created", "updated", "unchanged"]
    promise: PromiseRef
    spec: JsonObject
    outputs: JsonObject
    recreated: tuple[str, ...] = Field(
        default=(),
        description="Steps that had been applied and were found absent; what they held is lost.",
    )

    @property
    def what_happened(self) -> str:
        """The change in a clause, with what had vanished."""
        if not self.recreated:
            return self.change
        were = "was" if len(self.recreated) == 1 else "were"
        return (
            f"{self.change}; {', '.join(self.recreated)} {were} gone and {were} made again, "
            "without what was in it"
        )


class ResourceDeleted(OperationFact):
    """An operation succeeded: the resource no longer exists."""

    TYPE: ClassVar[str] = "busbar.resource.deleted.v1"
    TOPIC: ClassVar[str] = topics.FACTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = ({**ENDED, "generation": 2},)

    intent: IntentRef
    generation: int
    existed: bool = Field(default=True, description="False if there was nothing to delete.")


class ResourceFailed(OperationFact):
    """An operation failed. What it did is undone, except for what ``remains`` names."""

    TYPE: ClassVar[str] = "busbar.resource.failed.v1"
    TOPIC: ClassVar[str] = topics.FACTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **ENDED,
            **REFUSED,
            "undone": ["topic"],
            "left": "absent",
        },
        {
            **ENDED,
            "generation": 2,
            **REFUSED,
            "undone": [],
            "left": "partial",
            "observed_generation": 1,
            "remains": [{"step": "topic", "adapter": "kafka-topic", **KEPT}],
        },
    )

    intent: IntentRef
    generation: int
    failed_step: Slug | None = Field(description="Null if no step failed: it was abandoned.")
    reason: str
    detail: str
    undone: tuple[str, ...] = Field(description="The steps that were undone, in that order.")
    left: Literal["absent", "previous", "partial"] = Field(
        description="The state of the resource now: nothing, as before, or what `remains` says."
    )
    remains: tuple[Remaining, ...] = Field(
        default=(), description="The steps that are neither as before nor gone."
    )
    observed_generation: int = Field(
        default=0, description="The generation that was provisioned last; 0 if there is none."
    )

    @property
    def what_is_left(self) -> str:
        """A sentence about what exists now."""
        known = {"absent": "nothing of it is left", "previous": "it is as it was before"}
        # Even what is absent can remain, as another owner's.
        return "; ".join(map(str, self.remains)) or known.get(self.left, "a part of it is left")


class ResourceStuck(OperationFact):
    """An operation can neither continue nor be undone now. It is tried at growing intervals."""

    TYPE: ClassVar[str] = "busbar.resource.stuck.v1"
    TOPIC: ClassVar[str] = topics.FACTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **ENDED,
            "step": "topic",
            "reason": "not_ours",
            "detail": "the topic exists without our mark",
            "remedy": "Remove or rename the topic, then `busbar operation retry` it.",
            "since": "2026-01-01T00:00:00Z",
        },
    )

    intent: IntentRef
    generation: int
    step: Slug
    reason: str
    detail: str
    remedy: str
    since: AwareDatetime = Field(description="When it became stuck, for this reason or another.")
