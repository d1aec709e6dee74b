"""The family ``policy``: decisions about intents, recorded with the intent itself."""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from busbar.messages import topics
from busbar.messages.base import (
    EXAMPLE_INTENT,
    EXAMPLE_OPERATION,
    EXAMPLE_RESOURCE,
    Fact,
    IntentRef,
    JsonObject,
    OperationFact,
    Part,
    ResourceName,
)
from busbar.messages.caller import Caller
from busbar.messages.plan import Action, Digest, Plan, PromiseRef

_DECIDED: JsonObject = {
    "operation": EXAMPLE_OPERATION,
    "intent": EXAMPLE_INTENT,
    "resource": EXAMPLE_RESOURCE,
    "requested": {"team": "payments", "name": "orders"},
}


class Violation(Part):
    """One problem of an intent, and how to fix it."""

    rule: str = Field(description="The rule's name; `schema` for the promise's own schema.")
    message: str
    fix: str
    pointer: str = Field(default="", description="RFC 6901 pointer into the intent's data.")


class IntentAllowed(OperationFact):
    """An intent is valid and allowed; the provisioner may carry out this plan and no other."""

    TYPE: ClassVar[str] = "busbar.policy.allowed.v1"
    TOPIC: ClassVar[str] = topics.FACTS_POLICY
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **_DECIDED,
            "action": "apply",
            "generation": 1,
            "promise": {"name": "event-stream", "version": "v1", "digest": "sha256:" + "0" * 64},
            "spec": {"partitions": 3},
            "plan": {"steps": [{"name": "topic", "adapter": "kafka-topic", "inputs": {}}]},
            "policies": "sha256:" + "1" * 64,
            "rules": ["retention-limit"],
            "warnings": [],
        },
    )

    intent: IntentRef
    caller: Caller | None = None
    requested: JsonObject = Field(description="The intent's data, as received.")
    action: Action
    generation: int = Field(description="The generation that the resource will have afterwards.")
    promise: PromiseRef
    spec: JsonObject = Field(description="The requested spec with the promise's defaults.")
    plan: Plan
    policies: Digest = Field(description="Digest of the rules and environments in force.")
    rules: tuple[str, ...] = Field(description="The rules that applied and were satisfied.")
    warnings: tuple[Violation, ...] = ()


DenialReason = Literal[
    "invalid_intent",
    "unknown_type",
    "unknown_environment",
    "unknown_promise",
    "unknown_promise_version",
    "invalid_spec",
    "rule",
    "generation_mismatch",
    "not_found",
    "other_resource",
    "unknown_service",
    "forbidden",
    "unsigned",
    "malformed",
    "forged",
    "unknown_key",
    "revoked_key",
    "unknown_principal",
    "foreign_source",
    "foreign_principal",
    "discarded",
]


class IntentDenied(Fact):
    """An intent is denied; ``violations`` name every reason and how to fix it."""

    TYPE: ClassVar[str] = "busbar.policy.denied.v1"
    TOPIC: ClassVar[str] = topics.FACTS_POLICY
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **_DECIDED,
            "reason": "rule",
            "violations": [
                {
                    "rule": "retention-limit",
                    "message": "events may be kept for 168 hours in dev, 9000 were asked for",
                    "fix": "lower retention_hours to 168 or ask for it in another environment",
                    "pointer": "/spec/retention_hours",
                }
            ],
        },
    )

    operation: UUID
    intent: IntentRef
    caller: Caller | None = None
    resource: ResourceName | None = Field(description="Null if the intent names none.")
    requested: JsonObject | list[JsonObject] | str | int | float | bool | None
    reason: DenialReason
    violations: tuple[Violation, ...]
    policies: Digest | None = None


class IntentExpired(Fact):
    """An intent's ``expirytime`` had passed before it was decided; nothing was done."""

    TYPE: ClassVar[str] = "busbar.policy.expired.v1"
    TOPIC: ClassVar[str] = topics.FACTS_POLICY
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {**_DECIDED, "expired_at": "2026-01-01T00:00:00.000000Z"},
    )

    operation: UUID
    intent: IntentRef
    caller: Caller | None = None
    resource: ResourceName | None
    requested: JsonObject | list[JsonObject] | str | int | float | bool | None
    expired_at: datetime


class IntentConflicted(Fact):
    """An intent reused the source and id of an earlier one with another body; it was ignored."""

    TYPE: ClassVar[str] = "busbar.policy.conflicted.v1"
    TOPIC: ClassVar[str] = topics.FACTS_POLICY
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            "operation": EXAMPLE_OPERATION,
            "intent": EXAMPLE_INTENT,
            "resource": EXAMPLE_RESOURCE,
            "first": "sha256:" + "2" * 64,
            "again": "sha256:" + "3" * 64,
        },
    )

    operation: UUID
    intent: IntentRef
    caller: Caller | None = None
    resource: ResourceName | None
    first: Digest = Field(description="Digest of the body that is in effect.")
    again: Digest = Field(description="Digest of the body that was ignored.")
