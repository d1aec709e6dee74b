"""What the gateway decides about an event that somebody posts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from busbar.kernel.canonical import digest
from busbar.kernel.ids import operation_id
from busbar.kernel.resource import ResourceId
from busbar.messages import topics
from busbar.messages.catalogue import INTENT_TYPES, topic_of
from busbar.messages.envelope import Envelope
from busbar.messages.trace import TraceContext, valid

OURS: Final = frozenset({"relay", "sequence", "partitionkey", "authtype", "authid"})
"""Extensions that the platform sets; what a client says there is not believed."""


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

    code: Literal["unknown_type", "reserved_source", "conflict", "unpublishable", "busy"]
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
    if envelope.source.startswith(topics.OWN_SOURCES):
        return Refused(
            "reserved_source",
            f"sources that start with {topics.OWN_SOURCES} are the platform's own",
            "name yourself as the source, as in urn:team:payments",
        )
    operation = operation_id(envelope.source, envelope.id)
    named = ResourceId.named_in(envelope.data)
    resource = str(named) if named else None
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


def already(first: str, again: str) -> Refused | None:
    """Whether an event under a known identity is another one."""
    if first == again:
        return None
    return Refused(
        "conflict",
        "an event with this source and id came before, with another body",
        "an id names one event for ever: send the new content under a new id",
    )


def passed_on(extensions: Mapping[str, str], *, principal: str) -> dict[str, str]:
    """The extensions that an intent is published with: the client's, and who the client is."""
    kept = {name: value for name, value in extensions.items() if name not in OURS}
    return {**kept, "authtype": "api_key", "authid": principal}


def trace_of(event: str | None, header: str | None, span: TraceContext | None) -> str | None:
    """The ``traceparent`` that an intent is published with; an invalid one is ignored.

    An event that belongs to a trace stays in it, whatever the ``header`` of its request says. Of
    the same trace, our own ``span`` comes last before the next service.
    """
    own = TraceContext.parse(event)
    if own is not None and (span is None or own.trace_id != span.trace_id):
        return event
    return str(span) if span is not None else valid(header)


def busy(lag: float) -> Refused:
    """Nothing new is let in while what was let in before is not decided."""
    return Refused(
        "busy",
        f"intents have waited for a decision for {lag:.0f} seconds, and many do",
        "send the event again in a while, under the same id; it counts once",
    )


def unpublishable(why: str) -> Refused:
    """An event that is fine as it came, but not with what it is published with."""
    return Refused(
        "unpublishable",
        f"the event cannot be published: {why}",
        "send fewer attributes and smaller data, in plain words and numbers",
    )
