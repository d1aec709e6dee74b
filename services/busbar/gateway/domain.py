"""What the gateway decides about an event that somebody posts."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from busbar.kernel.canonical import digest
from busbar.kernel.ids import operation_id
from busbar.kernel.resource import ResourceId
from busbar.messages.catalogue import INTENT_TYPES, topic_of
from busbar.messages.envelope import Envelope


@dataclass(frozen=True, slots=True)
class Accepted:
    """The event is an intent: publish it on ``topic`` under ``key``."""

    operation: UUID
    topic: str
    key: str
    resource: str | None
    digest: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The event is not let in: ``code`` for programs, ``detail`` and ``fix`` for people."""

    code: Literal["unknown_type", "conflict"]
    detail: str
    fix: str


def admit(envelope: Envelope) -> Accepted | Refused:
    """Let an intent in; its data are policy's to judge."""
    topic = topic_of(envelope.type)
    if topic is None or envelope.type not in INTENT_TYPES:
        return Refused(
            "unknown_type",
            f"{envelope.type!r} is no type of intent",
            "use one of " + ", ".join(sorted(INTENT_TYPES)),
        )
    operation = operation_id(envelope.source, envelope.id)
    resource = resource_of(envelope)
    return Accepted(
        operation=operation,
        topic=topic,
        key=resource or envelope.subject or str(operation),
        resource=resource,
        digest=body_digest(envelope),
    )


def body_digest(envelope: Envelope) -> str:
    """What makes two events under one identity the same event."""
    return digest([envelope.type, envelope.subject, envelope.data])


def resource_of(envelope: Envelope) -> str | None:
    """The resource that an intent's data name, if they name one properly."""
    data = envelope.data if isinstance(envelope.data, dict) else {}
    try:
        return str(
            ResourceId.parse(
                "/".join(str(data[part]) for part in ("team", "environment", "promise", "name"))
            )
        )
    except (KeyError, ValueError):
        return None


def already(first: str, again: str) -> Refused | None:
    """Whether an event under a known identity is another one."""
    if first == again:
        return None
    return Refused(
        "conflict",
        "an event with this source and id came before, with another body",
        "an id names one event for ever: send the new content under a new id",
    )
