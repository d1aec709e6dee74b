"""Accepts intents, and projects facts into the views that clients read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from busbar.gateway.domain import AdmittedIntent, IntentRefused, admit, refuse
from busbar.kernel.clock import format_time
from busbar.kernel.ids import event_id
from busbar.messages import topics
from busbar.messages.base import Fact
from busbar.messages.catalogue import FACTS, INTENTS
from busbar.messages.delivery import (
    DeadLetterDiscarded,
    DeadLettered,
    DeadLetterRecovered,
    DeadLetterRedriven,
    HeadPublished,
)
from busbar.messages.envelope import Envelope
from busbar.messages.identity import IdentityFact
from busbar.messages.notification import Subscribed, Unsubscribed
from busbar.messages.principals import PrincipalView, evolve_principal
from busbar.messages.selection import team_of
from busbar.messages.views import (
    OperationView,
    ResourceView,
    evolve_operation,
    evolve_resource,
)
from busbar.messages.webhooks import (
    DeliveryFact,
    DeliveryView,
    evolve_delivery,
    subscription_of,
)
from busbar.runtime.consume.service import Received, Service
from busbar.runtime.core import encoding
from busbar.runtime.outbox.events import envelope_of
from busbar.runtime.store import Cause, Document, Store, StoredEvent, Transaction
from busbar.runtime.telemetry import tracing

OPERATION = "operation"
RESOURCE = "resource"
DEAD_LETTER = "dead_letter"
DEAD_LETTER_RECORD = "dead_letter_record"
"""Documents of the encrypted records, which are large: lists of dead letters do not read them."""
PRINCIPAL = "principal"
SUBSCRIPTION = "subscription"
DELIVERY = "delivery"
ACCEPTED = "accepted"
UNDECIDED = "undecided"
"""Documents of the intents without a decision, ranked by the time at which they were accepted."""

DeadLetterFact = DeadLettered | DeadLetterRedriven | DeadLetterRecovered | DeadLetterDiscarded


@dataclass(frozen=True, slots=True)
class AcceptResult:
    """An intent that is stored; ``replayed`` if an earlier request had stored it."""

    operation: str
    resource: str | None
    replayed: bool


class Gateway:
    """The projection that the HTTP API reads."""

    def service(self) -> Service:
        """Return the service with its handlers registered."""
        service = Service("gateway", emits=INTENTS)
        for fact in FACTS:
            if fact is not HeadPublished:
                service.on(fact, self.project)
        return service

    async def project(self, received: Received[Fact], tx: Transaction) -> None:
        """Fold one fact into the views, and store it for clients that follow facts."""
        fact, envelope = received.message, received.envelope
        time = format_time(envelope.time) if envelope.time else ""
        operation, resource = fact.operation_id, fact.resource_id
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
                "resource": resource,
            },
            key=_owner(fact, envelope),
        )
        if operation is not None:
            await _project_operation(operation, fact, time, tx)
        if resource is not None and received.record.topic == topics.FACTS_RESOURCE:
            await _project_resource(resource, fact, time, tx)
        if isinstance(fact, Subscribed | Unsubscribed):
            await _project_subscription(fact, time, tx)
        if isinstance(fact, DeliveryFact):
            await _project_delivery(fact, time, tx)
        if isinstance(fact, IdentityFact):
            await _project_principal(fact, time, tx)
        if isinstance(fact, DeadLetterFact):
            await _project_dead_letter(fact, time, tx)


def _owner(fact: Fact, envelope: Envelope) -> str | None:
    """Return the resource that ``fact`` is about, else its team and a slash, else None.

    Facts of one team have keys that begin with it, so that clients can ask for them alone.
    """
    team = team_of(fact.resource_id, envelope.data if isinstance(envelope.data, dict) else {})
    return fact.resource_id or (f"{team}/" if team else None)


async def accept_intent(
    store: Store,
    envelope: Envelope,
    *,
    principal: str,
    traceparent: str | None,
    lag: float | None = None,
) -> AcceptResult | IntentRefused:
    """Store an intent for the relay to publish; repeating it changes nothing.

    ``lag`` is how many seconds undecided intents have been waiting if too many do; new intents
    are refused meanwhile.
    """
    admitted = admit(
        envelope,
        principal=principal,
        traceparent=traceparent,
        span=tracing.current(),
        now=store.clock.now(),
    )
    if isinstance(admitted, IntentRefused):
        return admitted
    intent, defect = admitted, _defect(admitted)

    async def write(tx: Transaction) -> AcceptResult | IntentRefused:
        known = await tx.documents.get(ACCEPTED, intent.operation)
        known_digest = None if known is None else known["digest"]
        refused = refuse(intent, known_digest=known_digest, lag=lag, defect=defect)
        if refused is not None:
            return refused
        if known is None:
            await _write_intent(intent, tx)
        return AcceptResult(intent.operation, intent.resource, replayed=known is not None)

    return await store.transact(write)


def _defect(intent: AdmittedIntent) -> str | None:
    """Return what prevents the relay from publishing ``intent``: it could not get past it."""
    time = intent.metadata["time"]
    draft = StoredEvent(
        position=0,
        stream="",
        version=1,
        id=intent.operation,
        type=intent.type,
        time=time,
        recorded_time=time,
        correlation=intent.operation,
        causation=intent.id,
        topic=intent.topic,
        key=intent.key,
        data=intent.data,
        metadata=json.dumps(intent.metadata),
    )
    try:
        encoding.write(intent.topic, envelope_of(draft, relay="gateway", sequence=1))
    except ValueError as error:
        return str(error)
    return None


async def _write_intent(intent: AdmittedIntent, tx: Transaction) -> None:
    operation = intent.operation
    tx.caused_by(Cause(intent.source, intent.id, intent.correlation))
    await tx.append_raw(
        f"intent/{operation}",
        id_=operation,
        type_=intent.type,
        data=intent.data,
        metadata=intent.metadata,
        topic=intent.topic,
        key=intent.key,
    )
    await tx.documents.put(Document(kind=ACCEPTED, key=operation, value={"digest": intent.digest}))
    known = await tx.documents.get(OPERATION, operation)
    if known is None:
        view = OperationView(
            id=operation,
            status="received",
            resource=intent.resource,
            intent={"source": intent.source, "id": intent.id, "type": intent.type},
        )
        await _put_operation(view, tx)
        undecided = Document(kind=UNDECIDED, key=operation, rank=format_time(tx.now), value={})
        await tx.documents.put(undecided)


async def _project_operation(operation: str, fact: Fact, time: str, tx: Transaction) -> None:
    known = await tx.documents.get(OPERATION, operation)
    before = OperationView.model_validate(known["view"]) if known else None
    after = evolve_operation(before, fact, time=time)
    if before is not None and before.status == "received" and before != after:
        await tx.documents.remove(UNDECIDED, operation)
    if after is not None and after != before:
        await _put_operation(after, tx, rank=known["rank"] if known else None)


async def _put_operation(view: OperationView, tx: Transaction, *, rank: str | None = None) -> None:
    """Save the view; operations are listed in the order in which the gateway first saw them."""
    rank = rank or f"{format_time(tx.now)}/{view.id}"
    value: Mapping[str, Any] = {"view": view.model_dump(mode="json"), "rank": rank}
    await tx.documents.put(
        Document(kind=OPERATION, key=view.id, parent=view.resource or "", rank=rank, value=value)
    )


async def _project_resource(resource: str, fact: Fact, time: str, tx: Transaction) -> None:
    known = await tx.documents.get(RESOURCE, resource)
    before = ResourceView.model_validate(known) if known else None
    after = evolve_resource(before, fact, time=time)
    if after is None or after == before:
        return
    value = after.model_dump(mode="json")
    await tx.documents.put(Document(kind=RESOURCE, key=resource, rank=resource, value=value))


async def _project_principal(fact: IdentityFact, time: str, tx: Transaction) -> None:
    key = fact.principal
    known = await tx.documents.get(PRINCIPAL, key)
    before = PrincipalView.model_validate(known) if known else None
    view = evolve_principal(before, fact, time=time)
    if view is not None and view != before:
        value = view.model_dump(mode="json")
        await tx.documents.put(Document(kind=PRINCIPAL, key=key, rank=key, value=value))


async def _project_subscription(
    fact: Subscribed | Unsubscribed, time: str, tx: Transaction
) -> None:
    if isinstance(fact, Unsubscribed):
        await tx.documents.remove(SUBSCRIPTION, fact.subscription)
        return
    view = subscription_of(fact, time=time)
    key, value = view.subscription, view.model_dump(mode="json")
    await tx.documents.put(
        Document(kind=SUBSCRIPTION, key=key, parent=view.team, rank=key, value=value)
    )


async def _project_delivery(fact: DeliveryFact, time: str, tx: Transaction) -> None:
    """Fold an attempt; deliveries are listed in the order of their first attempts."""
    key = f"{fact.subscription}|{fact.event}"
    known = await tx.documents.get(DELIVERY, key)
    before = DeliveryView.model_validate(known["view"]) if known else None
    view = evolve_delivery(before, fact, time=time)
    rank = known["rank"] if known else f"{time}/{fact.event}"
    value: Mapping[str, Any] = {"view": view.model_dump(mode="json"), "rank": rank}
    await tx.documents.put(
        Document(kind=DELIVERY, key=key, parent=fact.subscription, rank=rank, value=value)
    )


async def _project_dead_letter(fact: DeadLetterFact, time: str, tx: Transaction) -> None:
    known = dict(await tx.documents.get(DEAD_LETTER, fact.dead_letter) or {})
    match fact:
        case DeadLettered():
            shown = fact.model_dump(mode="json")
            record = {"sealed": shown.pop("sealed")}
            await tx.documents.put(
                Document(kind=DEAD_LETTER_RECORD, key=fact.dead_letter, value=record)
            )
            known = {"redriven": [], **known, **shown, "time": time}
        case _ if not known:
            return  # a request named a dead letter that does not exist
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
