"""The family ``resource``: asking for one, and what the provisioner does about it."""

from typing import ClassVar, Literal

from pydantic import AwareDatetime, Field, StrictInt

from busbar.messages import topics
from busbar.messages.base import (
    EXAMPLE_INTENT,
    EXAMPLE_OPERATION,
    EXAMPLE_RESOURCE,
    Intent,
    IntentRef,
    JsonObject,
    OperationFact,
    Slug,
)
from busbar.messages.plan import Action, Plan, PromiseRef

_STEP: JsonObject = {
    "operation": EXAMPLE_OPERATION,
    "resource": EXAMPLE_RESOURCE,
    "generation": 1,
    "step": "topic",
    "adapter": "kafka-topic",
}
_ENDED: JsonObject = {
    "operation": EXAMPLE_OPERATION,
    "resource": EXAMPLE_RESOURCE,
    "intent": EXAMPLE_INTENT,
    "generation": 1,
}
_PROMISE: JsonObject = {
    "name": "event-stream",
    "version": "v1",
    "digest": "sha256:" + "0" * 64,
}


class ApplyResource(Intent):
    """Make this resource exist and look like this."""

    TYPE: ClassVar[str] = "busbar.resource.apply.v1"
    TOPIC: ClassVar[str] = topics.INTENTS_RESOURCE
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
    spec: JsonObject = Field(description="What the promise's schema asks for.")
    expected_generation: StrictInt | None = Field(
        default=None,
        ge=0,
        description="Deny the intent unless the resource is at this generation (0: not there).",
    )


class DeleteResource(Intent):
    """Make this resource go away, in the reverse order of its making."""

    TYPE: ClassVar[str] = "busbar.resource.delete.v1"
    TOPIC: ClassVar[str] = topics.INTENTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {"team": "payments", "environment": "dev", "promise": "event-stream", "name": "orders"},
    )

    team: Slug
    environment: Slug
    promise: Slug
    name: Slug
    expected_generation: StrictInt | None = Field(default=None, ge=0)


class ResourceQueued(OperationFact):
    """The provisioner took the operation over; operations of one resource run one by one."""

    TYPE: ClassVar[str] = "busbar.resource.queued.v1"
    TOPIC: ClassVar[str] = topics.FACTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **_ENDED,
            "action": "apply",
            "promise": _PROMISE,
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
    correlation: str = Field(description="The correlationid of everything that follows.")
    traceparent: str | None = Field(default=None, description="W3C trace context of the intent.")
    allowed_at: AwareDatetime | None = Field(
        default=None, description="When the decision that allowed the operation was recorded."
    )


class StepFact(OperationFact):
    """A fact about one step of a running operation."""

    generation: int
    step: Slug
    adapter: Slug


class StepStarted(StepFact):
    """The provisioner is about to act on the world, having observed what is there."""

    TYPE: ClassVar[str] = "busbar.resource.step-started.v1"
    TOPIC: ClassVar[str] = topics.FACTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **_STEP,
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


class StepSucceeded(StepFact):
    """The step's thing is there, is ours and is as asked for."""

    TYPE: ClassVar[str] = "busbar.resource.step-succeeded.v1"
    TOPIC: ClassVar[str] = topics.FACTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **_STEP,
            "inputs": {"name": "payments.orders", "partitions": 3},
            "outputs": {"name": "payments.orders"},
            "changed": True,
            "epoch": 1,
        },
    )

    inputs: JsonObject
    outputs: JsonObject
    changed: bool = Field(description="False if it was already as asked for.")
    observed_after_unknown: bool = Field(
        default=False,
        description="True if the answer was lost and the result was established by observing.",
    )
    epoch: int


class StepFailed(StepFact):
    """An attempt at the step failed. It is tried again unless ``permanent``."""

    TYPE: ClassVar[str] = "busbar.resource.step-failed.v1"
    TOPIC: ClassVar[str] = topics.FACTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **_STEP,
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


class StepUndone(StepFact):
    """What the step had made is gone again, or is as it was before the operation."""

    TYPE: ClassVar[str] = "busbar.resource.step-undone.v1"
    TOPIC: ClassVar[str] = topics.FACTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {**_STEP, "restored": False, "was_there": True, "epoch": 1},
    )

    restored: bool = Field(description="True: put back as it was. False: removed.")
    was_there: bool = Field(description="False if there turned out to be nothing to take back.")
    epoch: int


class ResourceProvisioned(OperationFact):
    """The operation succeeded: the resource is there, as asked for."""

    TYPE: ClassVar[str] = "busbar.resource.provisioned.v1"
    TOPIC: ClassVar[str] = topics.FACTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **_ENDED,
            "change": "created",
            "promise": _PROMISE,
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


class ResourceDeleted(OperationFact):
    """The operation succeeded: nothing of the resource is left."""

    TYPE: ClassVar[str] = "busbar.resource.deleted.v1"
    TOPIC: ClassVar[str] = topics.FACTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = ({**_ENDED, "generation": 2},)

    intent: IntentRef
    generation: int


class ResourceFailed(OperationFact):
    """The operation failed and was compensated: the world is as it was before it."""

    TYPE: ClassVar[str] = "busbar.resource.failed.v1"
    TOPIC: ClassVar[str] = topics.FACTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **_ENDED,
            "failed_step": "dead-letters",
            "reason": "refused",
            "detail": "the broker has 1 node, so a topic cannot have 3 replicas",
            "undone": ["topic"],
            "left": "absent",
        },
    )

    intent: IntentRef
    generation: int
    failed_step: Slug
    reason: str
    detail: str
    undone: tuple[str, ...] = Field(description="The steps that were taken back, in that order.")
    left: Literal["absent", "previous"] = Field(description="What is there now.")


class ResourceStuck(OperationFact):
    """The operation can neither go on nor be taken back by itself: a person has to look."""

    TYPE: ClassVar[str] = "busbar.resource.stuck.v1"
    TOPIC: ClassVar[str] = topics.FACTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **_ENDED,
            "step": "topic",
            "reason": "not_ours",
            "detail": "the topic exists without our mark",
            "remedy": "remove or rename the topic, then apply again",
        },
    )

    intent: IntentRef
    generation: int
    step: Slug
    reason: str
    detail: str
    remedy: str
