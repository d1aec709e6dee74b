"""The families ``dead-letter`` and ``head``: records that failed, and relay progress."""

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from busbar.messages import topics
from busbar.messages.base import (
    EXAMPLE_INTENT,
    EXAMPLE_OPERATION,
    Fact,
    Intent,
    IntentRef,
    JsonObject,
    Slug,
)

_DEAD_LETTER: JsonObject = {
    "dead_letter": "22222222-2222-5222-8222-222222222222",
    "service": "policy",
}


class RedriveDeadLetter(Intent):
    """Handle a dead letter again, as if its record had just arrived."""

    TYPE: ClassVar[str] = "busbar.dead-letter.redrive.v1"
    TOPIC: ClassVar[str] = topics.INTENTS_DEAD_LETTER
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (_DEAD_LETTER,)

    service: Slug = Field(description="The service whose dead letter it is.")
    dead_letter: str = Field(description="The dead letter's id.")


class DiscardDeadLetter(Intent):
    """Give a dead letter up for good: what waits behind it goes on without it."""

    TYPE: ClassVar[str] = "busbar.dead-letter.discard.v1"
    TOPIC: ClassVar[str] = topics.INTENTS_DEAD_LETTER
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (_DEAD_LETTER,)

    service: Slug = Field(description="The service whose dead letter it is.")
    dead_letter: str = Field(description="The dead letter's id.")


class DeadLettered(Fact):
    """A record could not be handled. It is kept whole, encrypted, with the reason."""

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
            "operation": None,
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
        default=None, description="The operation that cannot go on without the record."
    )
    ordering_key: str | None = Field(
        default=None,
        description="The ordering key, usually a resource, parked by this record; null if none.",
    )
    behind: str | None = Field(
        default=None,
        description="The dead letter that this one waits for, if it did not fail itself.",
    )
    dead_letter: str = Field(description="UUIDv5 over service, topic, partition and offset.")
    service: Slug
    topic: str
    partition: int
    offset: int
    reason: str = Field(description="A bounded code.")
    detail: str
    intent: IntentRef | None = Field(description="The event's identity, where it could be read.")
    size: int = Field(description="Bytes of the original value.")
    sealed: str = Field(
        description="The whole record (key, headers, value), encrypted, base64; empty if that is "
        "too large to be published: then the service's own store has it."
    )


class DeadLetterRedriven(Fact):
    """Somebody had a dead letter handled again; ``outcome`` tells how it went."""

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
    """A parked record was handled after all; nobody had to ask for that very one."""

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
        default=None, description="The operation that can go on, if it waited for the record."
    )
    dead_letter: str
    service: Slug
    ordering_key: str = Field(description="The ordering key that waited for it.")
    attempts: int = Field(description="How often its ordering key was tried again before.")


class DeadLetterDiscarded(Fact):
    """Somebody gave a dead letter up; ``outcome`` tells how it went."""

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
    )

    operation: UUID = Field(description="The operation of the discard intent.")
    dead_letter: str
    service: Slug
    intent: IntentRef = Field(description="The discard intent.")
    outcome: Literal["discarded", "not_waiting", "unknown_dead_letter"]
    detail: str


class HeadPublished(Fact):
    """How far a service's relay has published: what an auditor must have seen by now."""

    TYPE: ClassVar[str] = "busbar.head.published.v1"
    TOPIC: ClassVar[str] = topics.FACTS_HEAD
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {"relay": "policy", "sequence": 128, "count": 128, "digest": "0" * 64},
    )

    relay: Slug
    sequence: int = Field(description="The highest sequence published; sequences start at 1.")
    count: int = Field(description="How many events carry one; equal to it, as it is gapless.")
    digest: str = Field(
        description="SHA-256 chain: each link hashes the link before it and the event's digest."
    )
