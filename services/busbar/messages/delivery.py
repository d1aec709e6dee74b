"""The families ``dead-letter`` and ``head``: records that failed, and relay progress."""

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from busbar.kernel.ids import record_operation
from busbar.messages import permissions, topics
from busbar.messages.base import (
    EXAMPLE_INTENT,
    EXAMPLE_OPERATION,
    Fact,
    Intent,
    IntentRef,
    JsonObject,
    Slug,
)
from busbar.messages.identity import EXAMPLE_KEY, KeyId

DiscardOutcome = Literal["discarded", "not_waiting", "unknown_dead_letter", "failed"]

_DEAD_LETTER: JsonObject = {
    "dead_letter": "22222222-2222-5222-8222-222222222222",
    "service": "policy",
}


class RedriveDeadLetter(Intent):
    """Redrive a dead letter: handle its record as if it had just arrived."""

    TYPE: ClassVar[str] = "busbar.dead-letter.redrive.v1"
    TOPIC: ClassVar[str] = topics.INTENTS_DEAD_LETTER
    PERMISSION: ClassVar[str] = permissions.DEAD_LETTER_REDRIVE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (_DEAD_LETTER,)

    service: Slug = Field(description="The service whose dead letter it is.")
    dead_letter: str = Field(description="The dead letter's id.")


class DiscardDeadLetter(Intent):
    """Discard a dead letter permanently; the records behind it are handled without it."""

    TYPE: ClassVar[str] = "busbar.dead-letter.discard.v1"
    TOPIC: ClassVar[str] = topics.INTENTS_DEAD_LETTER
    PERMISSION: ClassVar[str] = permissions.DEAD_LETTER_DISCARD
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (_DEAD_LETTER,)

    service: Slug = Field(description="The service whose dead letter it is.")
    dead_letter: str = Field(description="The dead letter's id.")


class DeadLettered(Fact):
    """A record could not be handled. It is stored whole, encrypted, with the reason."""

    TYPE: ClassVar[str] = "busbar.dead-letter.recorded.v1"
    TOPIC: ClassVar[str] = "busbar.dlq.{service}"
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **_DEAD_LETTER,
            "topic": "busbar.intents.resource",
            "partition": 3,
            "offset": 42,
            "reason": "missing_attribute",
            "detail": "the header ce_id is missing: add an id that is unique for your source",
            "intent": None,
            "operation": str(record_operation("busbar.intents.resource", 3, 42)),
            "refused": True,
            "size": 512,
            "sealed": "AAECAw==",
        },
        {
            **_DEAD_LETTER,
            "topic": "busbar.intents.resource",
            "partition": 3,
            "offset": 43,
            "reason": "bad_time",
            "detail": 'The attribute "time" needs an offset: append Z, or one like +01:00.',
            "intent": EXAMPLE_INTENT,
            "operation": str(record_operation("busbar.intents.resource", 3, 43)),
            "refused": True,
            "size": 512,
            "sealed": "AAECAw==",
        },
        {
            **_DEAD_LETTER,
            "service": "provisioner",
            "topic": "busbar.facts.policy",
            "partition": 7,
            "offset": 4,
            "reason": "handler_failed",
            "detail": "provisioner failed 5 times with KeyError",
            "intent": EXAMPLE_INTENT,
            "operation": EXAMPLE_OPERATION,
            "ordering_key": "payments/dev/event-stream/orders",
            "behind": None,
            "size": 512,
            "sealed": "AAECAw==",
        },
    )

    operation: UUID | None = Field(
        default=None,
        description="The operation that cannot continue without the record, or that was refused.",
    )
    refused: bool = Field(
        default=False,
        description="True if it is on a topic of intents and cannot be read as an event: its "
        "operation, which is named by topic, partition and offset, is denied.",
    )
    ordering_key: str | None = Field(
        default=None,
        description="The ordering key, usually a resource, parked by this record; null if none.",
    )
    behind: str | None = Field(
        default=None,
        description="The dead letter that this one waits for, if it did not fail itself.",
    )
    dead_letter: str = Field(description="UUIDv5 of service, topic, partition and offset.")
    service: Slug
    topic: str
    partition: int
    offset: int
    reason: str = Field(description="A code from a bounded set.")
    detail: str
    intent: IntentRef | None = Field(
        description="The identity that the record claims, if it could be read; a type that could "
        "not is empty. If the record is refused, nothing proves it."
    )
    size: int = Field(description="Bytes of the original value.")
    sealed: str = Field(
        description="The whole record (key, headers, value), encrypted, base64; empty if it is "
        "too large to be published: then only the service's own store has it."
    )


class DeadLetterRedriven(Fact):
    """A dead letter was redriven; ``outcome`` is the result."""

    TYPE: ClassVar[str] = "busbar.dead-letter.redriven.v1"
    TOPIC: ClassVar[str] = "busbar.dlq.{service}"
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **_DEAD_LETTER,
            "operation": EXAMPLE_OPERATION,
            "intent": EXAMPLE_INTENT,
            "outcome": "handled",
            "detail": "",
        },
    )

    operation: UUID = Field(description="The operation of the redrive intent.")
    dead_letter: str
    service: Slug
    intent: IntentRef = Field(description="The redrive intent.")
    outcome: Literal["handled", "failed", "unknown_dead_letter"]
    detail: str


class DeadLetterRecovered(Fact):
    """A parked record was handled after all, without a redrive of its own."""

    TYPE: ClassVar[str] = "busbar.dead-letter.recovered.v1"
    TOPIC: ClassVar[str] = "busbar.dlq.{service}"
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **_DEAD_LETTER,
            "operation": EXAMPLE_OPERATION,
            "ordering_key": "payments/dev/event-stream/orders",
            "attempts": 2,
        },
    )

    operation: UUID | None = Field(
        default=None, description="The operation that can continue, if it waited for the record."
    )
    dead_letter: str
    service: Slug
    ordering_key: str = Field(description="The ordering key that it parked.")
    attempts: int = Field(description="The number of earlier retries of its ordering key.")


class DeadLetterDiscarded(Fact):
    """A request to discard a dead letter was processed; ``outcome`` is the result."""

    TYPE: ClassVar[str] = "busbar.dead-letter.discarded.v1"
    TOPIC: ClassVar[str] = "busbar.dlq.{service}"
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **_DEAD_LETTER,
            "operation": EXAMPLE_OPERATION,
            "intent": EXAMPLE_INTENT,
            "outcome": "discarded",
            "detail": "",
        },
        {
            **_DEAD_LETTER,
            "operation": "11111111-1111-5111-8111-111111111111",
            "intent": {**EXAMPLE_INTENT, "id": "discard-1"},
            "outcome": "discarded",
            "detail": f"operation {EXAMPLE_OPERATION}, which waited for it, has ended",
            "ended": EXAMPLE_OPERATION,
        },
    )

    operation: UUID = Field(description="The operation of the discard intent.")
    dead_letter: str
    service: Slug
    intent: IntentRef = Field(description="The discard intent.")
    outcome: DiscardOutcome = Field(
        description="`failed` if the operation that waits for the dead letter could not be ended: "
        "then it is not discarded."
    )
    detail: str
    ended: UUID | None = Field(
        default=None,
        description="The operation that has ended because it waited for the dead letter.",
    )


class HeadPublished(Fact):
    """The progress of a service's relay: the events that an auditor must have seen."""

    TYPE: ClassVar[str] = "busbar.head.published.v1"
    TOPIC: ClassVar[str] = topics.FACTS_HEAD
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {"relay": "policy", "sequence": 128, "count": 128, "digest": "0" * 64},
    )

    relay: Slug
    sequence: int = Field(description="The highest sequence published; sequences start at 1.")
    count: int = Field(description="The number of events published; equal to the sequence.")
    digest: str = Field(
        description="SHA-256 chain: each link hashes the previous link and the event's digest."
    )


class HeadKeyRevoked(Fact):
    """A service's key is revoked: heads that it signs after this record prove nothing.

    The record has the key of that service's heads, and so a place among them.
    """

    TYPE: ClassVar[str] = "busbar.head.key-revoked.v1"
    TOPIC: ClassVar[str] = topics.FACTS_HEAD
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = ({"relay": "policy", "key": EXAMPLE_KEY},)

    relay: Slug
    key: KeyId
