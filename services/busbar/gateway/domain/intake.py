"""Decides whether an event that a client posts is published as an intent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from busbar.kernel.canonical import digest
from busbar.kernel.clock import format_time
from busbar.kernel.ids import operation_id
from busbar.kernel.resource import ResourceId
from busbar.messages import topics
from busbar.messages.authority import Principal
from busbar.messages.catalogue import INTENT_TYPES, topic_of
from busbar.messages.envelope import Envelope
from busbar.messages.selection import owner_of, team_of_owner
from busbar.messages.trace import TraceContext, valid

PLATFORM_EXTENSIONS: Final = frozenset(
    {"relay", "sequence", "partitionkey", "authtype", "authid", "onbehalfof"}
)
"""Extensions that only the platform sets; a client's values are dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmittedIntent:
    """An intent and everything needed to store and publish it."""

    source: str
    id: str
    type: str
    operation: str
    correlation: str
    resource: str | None
    team: str | None
    """The team that it is about; None is none."""
    topic: str
    key: str
    digest: str
    """Identifies the body: two events with one identity are the same event if it is equal."""
    data: str
    """The event's data as JSON text."""
    metadata: Mapping[str, Any]
    """Envelope attributes that the relay publishes besides type and data."""


@dataclass(frozen=True, slots=True)
class IntentRefused:
    """The event is not accepted: ``code`` for programs, ``detail`` and ``fix`` for people."""

    code: Literal[
        "unknown_type", "reserved_source", "foreign_source", "conflict", "unpublishable", "busy"
    ]
    detail: str
    fix: str


def admit(
    envelope: Envelope,
    *,
    principal: Principal,
    traceparent: str | None,
    span: TraceContext | None,
    now: datetime,
) -> AdmittedIntent | IntentRefused:
    """Admit the event in ``envelope`` if it is an intent; policy judges its data later.

    Its source has to be one of ``principal``: otherwise it would take the id of another's event.

    ``traceparent`` is the header of the request, ``span`` the gateway's own span, and ``now`` the
    time of an event that states none.
    """
    topic = topic_of(envelope.type)
    if topic is None or envelope.type not in INTENT_TYPES:
        return IntentRefused(
            "unknown_type",
            f"{envelope.type!r} is not a type of intent",
            "use one of " + ", ".join(sorted(INTENT_TYPES)),
        )
    if envelope.source.startswith(topics.OWN_SOURCES):
        return IntentRefused(
            "reserved_source",
            f"sources that start with {topics.OWN_SOURCES} are reserved for the platform",
            "name yourself as the source, as in urn:team:payments",
        )
    if not principal.owns(envelope.source):
        return IntentRefused(
            "foreign_source",
            f"the source {envelope.source} is not one of {principal.name}",
            "use a source of your own, or have it declared for you in principals.yaml",
        )
    operation = str(operation_id(envelope.source, envelope.id))
    named = ResourceId.named_in(envelope.data)
    resource = str(named) if named else None
    return AdmittedIntent(
        source=envelope.source,
        id=envelope.id,
        type=envelope.type,
        operation=operation,
        correlation=envelope.extensions.get("correlationid", operation),
        resource=resource,
        team=team_of_owner(owner_of(resource, envelope.data)),
        topic=topic,
        key=resource or _order(topic, envelope) or operation,
        digest=digest([envelope.type, envelope.subject, envelope.data]),
        data=json.dumps(envelope.data, ensure_ascii=False),
        metadata={
            "source": envelope.source,
            "id": envelope.id,
            "subject": envelope.subject,
            "time": format_time(envelope.time or now),
            "traceparent": _trace(envelope.extensions.get("traceparent"), traceparent, span),
            "extensions": _extensions(envelope.extensions, principal=principal),
        },
    )


def refuse(
    intent: AdmittedIntent, *, known_digest: str | None, lag: float | None, defect: str | None
) -> IntentRefused | None:
    """Return why ``intent`` is not accepted, or None if it is.

    ``known_digest`` is the digest stored under the intent's identity, if any; ``lag`` is how many
    seconds undecided intents have been waiting if too many do; ``defect`` is what prevents the
    relay from publishing the intent. The same event again is always accepted.
    """
    if known_digest is not None:
        return None if known_digest == intent.digest else _CONFLICT
    if lag is not None:
        return IntentRefused(
            "busy",
            f"too many intents are waiting for a decision, the oldest for {lag:.0f} seconds",
            "send the event again later under the same id; it counts once",
        )
    if defect is not None:
        return IntentRefused(
            "unpublishable",
            f"the event cannot be published: {defect}",
            "send fewer attributes and smaller data, as plain text and numbers",
        )
    return None


_CONFLICT: Final = IntentRefused(
    "conflict",
    "an event with this source and id was already accepted with a different body",
    "an id identifies one event permanently: send the new content under a new id",
)


_AUTH_TYPES: Final[Mapping[str, str]] = {"person": "user", "service": "system"}
"""Kinds of principals as the extension of CloudEvents for authentication names them."""


def _order(topic: str, envelope: Envelope) -> str | None:
    """Return the key that keeps an intent in order with others about the same thing."""
    data = envelope.data if isinstance(envelope.data, dict) else {}
    return topics.key_of(topic).of(data) or envelope.subject


def _extensions(given: Mapping[str, str], *, principal: Principal) -> dict[str, str]:
    """Return the client's extensions plus the identity of the client."""
    kept = {name: value for name, value in given.items() if name not in PLATFORM_EXTENSIONS}
    kind = _AUTH_TYPES.get(principal.kind, "service_account")
    return {**kept, "authtype": kind, "authid": principal.name}


def _trace(event: str | None, header: str | None, span: TraceContext | None) -> str | None:
    """Return the ``traceparent`` to publish; an invalid one is ignored.

    An event that belongs to a trace stays in it, whatever the ``header`` of its request says.
    Within the same trace the gateway's own ``span`` is the parent of what follows.
    """
    own = TraceContext.parse(event)
    if own is not None and (span is None or own.trace_id != span.trace_id):
        return event
    return str(span) if span is not None else valid(header)
