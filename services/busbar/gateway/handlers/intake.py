"""Accepts intents: each is stored once, for the relay to publish."""

import json
from dataclasses import dataclass

from busbar.gateway.domain import AdmittedIntent, IntentRefused, admit, refuse
from busbar.gateway.handlers.kinds import ACCEPTED, OPERATION, UNDECIDED
from busbar.gateway.handlers.operations import audience_of, put_operation
from busbar.kernel.clock import format_time
from busbar.messages.authority import Principal
from busbar.messages.envelope import Envelope
from busbar.messages.views import OperationView
from busbar.runtime.core import encoding
from busbar.runtime.outbox.events import envelope_of
from busbar.runtime.store import Cause, Document, Store, StoredEvent, Transaction
from busbar.runtime.telemetry import tracing


@dataclass(frozen=True, slots=True)
class AcceptResult:
    """An intent that is stored; ``replayed`` if an earlier request had stored it."""

    operation: str
    resource: str | None
    replayed: bool


async def accept_intent(
    store: Store,
    envelope: Envelope,
    *,
    principal: Principal,
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
            await _write_intent(intent, principal, tx)
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


async def _write_intent(intent: AdmittedIntent, principal: Principal, tx: Transaction) -> None:
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
        await put_operation(view, audience_of(intent.team, principal), tx, known=known)
        undecided = Document(kind=UNDECIDED, key=operation, rank=format_time(tx.now), value={})
        await tx.documents.put(undecided)
