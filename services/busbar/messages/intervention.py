"""Interventions: a person ends, retries or forgets what the platform cannot settle by itself.

Their intents are on the topic of the resource's other intents, so that their order is kept.
"""

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from busbar.messages import permissions, topics
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
from busbar.messages.caller import Caller
from busbar.messages.remaining import Remaining

Intervention = Literal["retry", "abandon", "release"]

_NAMED: JsonObject = {
    "team": "payments",
    "environment": "dev",
    "promise": "event-stream",
    "name": "orders",
}
_BY = "11111111-1111-5111-8111-111111111111"
_ABOUT: JsonObject = {
    "operation": _BY,
    "resource": EXAMPLE_RESOURCE,
    "intent": {**EXAMPLE_INTENT, "id": "abandon-1", "type": "busbar.resource.abandon.v1"},
}


class RetryOperation(Intent):
    """Try a stuck operation again now, and from the first attempt."""

    TYPE: ClassVar[str] = "busbar.resource.retry.v1"
    TOPIC: ClassVar[str] = topics.INTENTS_RESOURCE
    PERMISSION: ClassVar[str] = permissions.OPERATION_RETRY
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = ({**_NAMED, "operation": EXAMPLE_OPERATION},)

    team: Slug
    environment: Slug
    promise: Slug
    name: Slug
    operation: UUID = Field(description="The operation, which is about this resource.")


class AbandonOperation(Intent):
    """End an operation as failed without undoing it; what exists stays and is reported."""

    TYPE: ClassVar[str] = "busbar.resource.abandon.v1"
    TOPIC: ClassVar[str] = topics.INTENTS_RESOURCE
    PERMISSION: ClassVar[str] = permissions.OPERATION_ABANDON
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = ({**_NAMED, "operation": EXAMPLE_OPERATION},)

    team: Slug
    environment: Slug
    promise: Slug
    name: Slug
    operation: UUID = Field(description="The operation, which is about this resource.")


class ReleaseResource(Intent):
    """Forget a resource without deleting anything; its operations end as failed."""

    TYPE: ClassVar[str] = "busbar.resource.release.v1"
    TOPIC: ClassVar[str] = topics.INTENTS_RESOURCE
    PERMISSION: ClassVar[str] = permissions.RESOURCE_RELEASE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (_NAMED,)

    team: Slug
    environment: Slug
    promise: Slug
    name: Slug


class InterventionAllowed(OperationFact):
    """An intervention is allowed; the provisioner may carry it out."""

    TYPE: ClassVar[str] = "busbar.policy.intervention-allowed.v1"
    TOPIC: ClassVar[str] = topics.FACTS_POLICY
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **_ABOUT,
            "requested": {**_NAMED, "operation": EXAMPLE_OPERATION},
            "action": "abandon",
            "target": EXAMPLE_OPERATION,
        },
    )

    intent: IntentRef
    caller: Caller | None = None
    requested: JsonObject = Field(description="The intent's data, as received.")
    action: Intervention
    target: UUID | None = Field(description="The operation that it is about; null for a release.")


class OperationAbandoned(OperationFact):
    """No more is tried for an operation: it ends as failed, and what exists stays."""

    TYPE: ClassVar[str] = "busbar.resource.abandoned.v1"
    TOPIC: ClassVar[str] = topics.FACTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            "operation": EXAMPLE_OPERATION,
            "resource": EXAMPLE_RESOURCE,
            "by": _BY,
            "reason": "abandoned",
        },
    )

    by: UUID = Field(description="The operation that ended it.")
    reason: Literal["abandoned", "superseded"] = Field(
        description="`superseded` if it was stuck and another operation was waiting behind it."
    )


class Intervened(OperationFact):
    """An intervention was carried out, or could not be."""

    TYPE: ClassVar[str] = "busbar.resource.intervened.v1"
    TOPIC: ClassVar[str] = topics.FACTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **_ABOUT,
            "action": "abandon",
            "target": EXAMPLE_OPERATION,
            "done": True,
            "detail": "the operation ends as failed",
        },
    )

    intent: IntentRef
    action: Literal["retry", "abandon"]
    target: UUID
    done: bool = Field(description="False if nothing was changed; `detail` says why.")
    detail: str


class ResourceReleased(OperationFact):
    """A resource is forgotten. What exists of it stays and is not managed any more."""

    TYPE: ClassVar[str] = "busbar.resource.released.v1"
    TOPIC: ClassVar[str] = topics.FACTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **_ABOUT,
            "remains": [
                {
                    "step": "topic",
                    "adapter": "kafka-topic",
                    "presence": "unknown",
                    "inputs": {"name": "payments.orders", "partitions": 3},
                    "outputs": {"name": "payments.orders", "partitions": 3},
                }
            ],
        },
    )

    intent: IntentRef
    remains: tuple[Remaining, ...] = Field(description="What was known to exist; not observed.")
