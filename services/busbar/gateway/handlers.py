"""Takes intents in, and folds facts into what clients ask for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from busbar.gateway.domain import (
    Accepted,
    Refused,
    admit,
    already,
    body_digest,
    busy,
    passed_on,
    trace_of,
    unpublishable,
)
from busbar.gateway.pressure import answered, let_in
from busbar.kernel.clock import format_time
from busbar.kernel.ids import event_id
from busbar.messages import topics
from busbar.messages.base import Message
from busbar.messages.catalogue import FACTS
from busbar.messages.delivery import (
    DeadLetterDiscarded,
    DeadLettered,
    DeadLetterRecovered,
    DeadLetterRedriven,
    HeadPublished,
)
from busbar.messages.envelope import Envelope
from busbar.messages.views import (
    OperationView,
    ResourceView,
    evolve_operation,
    evolve_resource,
)
from busbar.runtime.consume.service import Received, Service
from busbar.runtime.core import encoding
from busbar.runtime.outbox.events import envelope_of
from busbar.runtime.store import Cause, Document, Store, StoredEvent, Transaction
from busbar.runtime.telemetry import tracing

OPERATION = "operation"
RESOURCE = "resource"
DEAD_LETTER = "dead_letter"
ACCEPTED = "accepted"

DeadLetterFact = DeadLettered | DeadLetterRedriven | DeadLetterRecovered | DeadLetterDiscarded


@dataclass(frozen=True, slots=True)
class EagerClaim:
    """An intent that is in the store; ``again`` if it was there before."""

    operation: str
    resource: str | None
    again: bool


class Gateway:
    """The projection that HTTP reads, and the way in."""

    def service(self) -> Service:
        """The service, wired."""
        service = Service("gateway")
        for fact in FACTS:
            if fact is not HeadPublished:
                service.on(fact, self.project)
        return service

    async def project(self, received: Received[Any], tx: Transaction) -> None:
        """Fold one fact into the views, and keep it for those who follow along."""
        fact, envelope = received.message, received.envelope
        time = format_time(envelope.time) if envelope.time else ""
        operation, resource = _named(fact, "operation"), _named(fact, "resource")
        tx.caused_by(Cause(envelope.source, envelope.id, operation or ""))
        await tx.append_raw(
            f"facts/{received.record.topic}/{received.record.partition}",
            id_=event_id("gateway", envelope.source, envelope.id, 0),
            type_=envelope.type,
            data=json.dumps(envelope.data, ensure_ascii=False),
            metadata={
                "id": envelope.id,
                "source": envelope.source,
                "time": time,
                "topic": received.record.topic,
                "operation": operation,
            },
            key=resource,
        )
        if operation is not None:
            await _project_operation(operation, fact, time, tx)
        if resource is not None and received.record.topic == topics.FACTS_RESOURCE:
            await _project_resource(resource, fact, time, tx)
        if isinstance(fact, DeadLetterFact):
            await _project_dead_letter(fact, time, tx)


async def take(
    store: Store,
    envelope: Envelope,
    *,
    principal: str,
    traceparent: str | None,
    lag: float | None = None,
) -> EagerClaim | Refused:
    """Store an intent for the relay to publish; the same one again changes nothing.

    While the platform has a ``lag`` (seconds) of undecided intents, no new one is let in.
    """
    admitted = admit(envelope)
    if isinstance(admitted, Refused):
        return admitted
    accepted = admitted

    async def body(tx: Transaction) -> EagerClaim | Refused:
        operation = str(accepted.operation)
        before = await tx.documents.get(ACCEPTED, operation)
        if before is not None:
            refused = already(before["digest"], body_digest(envelope))
            return refused or EagerClaim(operation, accepted.resource, again=True)
        if lag is not None:
            return busy(lag)
        metadata = _metadata(tx, envelope, principal=principal, traceparent=traceparent)
        if why := _why_not_publishable(tx, envelope, accepted, metadata):
            return unpublishable(why)
        await _store(tx, envelope, accepted, metadata)
        return EagerClaim(operation, accepted.resource, again=False)

    return await store.transact(body)


def _metadata(
    tx: Transaction, envelope: Envelope, *, principal: str, traceparent: str | None
) -> dict[str, Any]:
    given = envelope.extensions.get("traceparent")
    return {
        "source": envelope.source,
        "id": envelope.id,
        "subject": envelope.subject,
        "time": format_time(envelope.time or tx.now),
        "traceparent": trace_of(given, traceparent, tracing.current()),
        "extensions": passed_on(envelope.extensions, principal=principal),
    }


def _why_not_publishable(
    tx: Transaction, envelope: Envelope, accepted: Accepted, metadata: Mapping[str, Any]
) -> str | None:
    """What the relay would stumble over; it could not get past such an event, and must not."""
    now, operation = format_time(tx.now), str(accepted.operation)
    draft = StoredEvent(
        position=0,
        stream="",
        version=1,
        id=operation,
        type=envelope.type,
        time=now,
        recorded_time=now,
        correlation=operation,
        causation=envelope.id,
        topic=accepted.topic,
        key=accepted.key,
        data=json.dumps(envelope.data, ensure_ascii=False),
        metadata=json.dumps(metadata),
    )
    try:
        encoding.write(accepted.topic, envelope_of(draft, relay="gateway", sequence=1))
    except ValueError as error:
        return str(error)
    return None


async def _store(
    tx: Transaction, envelope: Envelope, accepted: Accepted, metadata: Mapping[str, Any]
) -> None:
    operation = str(accepted.operation)
    correlation = envelope.extensions.get("correlationid", operation)
    tx.caused_by(Cause(envelope.source, envelope.id, correlation))
    await tx.append_raw(
        f"intent/{operation}",
        id_=operation,
        type_=envelope.type,
        data=json.dumps(envelope.data, ensure_ascii=False),
        metadata=metadata,
        topic=accepted.topic,
        key=accepted.key,
    )
    await tx.documents.put(
        Document(kind=ACCEPTED, key=operation, value={"digest": accepted.digest})
    )
    if await tx.documents.get(OPERATION, operation) is None:
        view = OperationView(
            id=operation,
            status="received",
            resource=accepted.resource,
            intent={"source": envelope.source, "id": envelope.id, "type": envelope.type},
        )
        await _put_operation(view, tx)
        await let_in(tx, operation, time=format_time(tx.now))


def _named(fact: Message, field: str) -> str | None:
    value = getattr(fact, field, None)
    return None if value is None else str(value)


async def _project_operation(operation: str, fact: Message, time: str, tx: Transaction) -> None:
    known = await tx.documents.get(OPERATION, operation)
    before = OperationView.model_validate(known["view"]) if known else None
    after = evolve_operation(before, fact, time=time)
    if before is not None and before.status == "received":
        await answered(tx, operation)
    if after is not None and after != before:
        await _put_operation(after, tx, rank=known["rank"] if known else None)


async def _put_operation(view: OperationView, tx: Transaction, *, rank: str | None = None) -> None:
    """Save the view; operations are listed in the order in which they were first heard of."""
    rank = rank or f"{format_time(tx.now)}/{view.id}"
    value: Mapping[str, Any] = {"view": view.model_dump(mode="json"), "rank": rank}
    await tx.documents.put(
        Document(kind=OPERATION, key=view.id, parent=view.resource or "", rank=rank, value=value)
    )


async def _project_resource(resource: str, fact: Message, time: str, tx: Transaction) -> None:
    known = await tx.documents.get(RESOURCE, resource)
    before = ResourceView.model_validate(known) if known else None
    after = evolve_resource(before, fact, time=time)
    if after is None or after == before:
        return
    value = after.model_dump(mode="json")
    await tx.documents.put(Document(kind=RESOURCE, key=resource, rank=resource, value=value))


async def _project_dead_letter(fact: DeadLetterFact, time: str, tx: Transaction) -> None:
    known = dict(await tx.documents.get(DEAD_LETTER, fact.dead_letter) or {})
    match fact:
        case DeadLettered():
            known = {"redriven": [], **known, **fact.model_dump(mode="json"), "time": time}
        case _ if not known:
            return  # somebody asked for a dead letter that there is not
        case DeadLetterRecovered():
            known["recovered"] = time
        case _:
            outcome = {"outcome": fact.outcome, "detail": fact.detail, "time": time}
            known["redriven"] = [*known["redriven"], outcome]
    rank = f"{known['time']}/{fact.dead_letter}"
    await tx.documents.put(
        Document(
            kind=DEAD_LETTER, key=fact.dead_letter, parent=fact.service, rank=rank, value=known
        )
    )
