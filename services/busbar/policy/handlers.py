"""Handlers of policy: load the state, decide, and append one decision for every intent."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from busbar.kernel.ids import event_id, operation_id, operation_text, record_operation
from busbar.kernel.resource import ResourceId
from busbar.messages import topics
from busbar.messages.authority import EMPTY
from busbar.messages.authority import evolve as evolve_authority
from busbar.messages.base import Fact, IntentRef
from busbar.messages.caller import Caller
from busbar.messages.codec.attributes import read_time
from busbar.messages.delivery import DiscardDeadLetter, RedriveDeadLetter
from busbar.messages.envelope import Envelope, Unreadable
from busbar.messages.generation import Settled
from busbar.messages.identity import (
    KeyRegistered,
    KeyRevoked,
    PrincipalDeclared,
    PrincipalRemoved,
    RegisterKey,
    RevokeKey,
)
from busbar.messages.intervention import (
    AbandonOperation,
    InterventionAllowed,
    ReleaseResource,
    ResourceReleased,
    RetryOperation,
)
from busbar.messages.notification import (
    ApplySubscription,
    DeleteSubscription,
    ResendDeliveries,
    SendTestEvent,
)
from busbar.messages.policy import (
    IntentAllowed,
    IntentConflicted,
    IntentDenied,
    IntentExpired,
    Violation,
)
from busbar.messages.request import RequestAllowed
from busbar.messages.resource import (
    ApplyResource,
    DeleteResource,
    ResourceDeleted,
    ResourceFailed,
    ResourceProvisioned,
)
from busbar.policy import telemetry
from busbar.policy.domain import (
    InterventionIntent,
    PolicyEngine,
    Promises,
    ReceivedIntent,
    ReceivedRequest,
    ResourcePolicyState,
    SignedRecord,
    decide,
    decide_request,
    deny_discarded,
    deny_invalid,
    deny_unknown_type,
    evolve,
    forbidden,
    identify,
    refuse,
    violations_of,
)
from busbar.runtime.consume.service import (
    ConflictingEvent,
    Discarded,
    InvalidEvent,
    Received,
    Service,
)
from busbar.runtime.core.bus import Record
from busbar.runtime.store import Transaction

INTENT_MAX_BYTES = 256 * 1024
"""The largest intent, in bytes; the facts about an intent repeat its data."""


OUTCOMES: Final[dict[type[Fact], str]] = {
    IntentAllowed: "allowed",
    InterventionAllowed: "allowed",
    IntentDenied: "denied",
    IntentExpired: "expired",
    IntentConflicted: "conflicted",
    RequestAllowed: "allowed",
}

IDENTITY: Final = "identity"
"""The stream of facts about principals and keys."""

REQUESTS: Final = (
    ApplySubscription,
    DeleteSubscription,
    SendTestEvent,
    ResendDeliveries,
    RedriveDeadLetter,
    DiscardDeadLetter,
    RegisterKey,
    RevokeKey,
)
"""Intents that another service carries out once they are allowed; they change no resource."""


class Policy:
    """Decides on intents by the promises and the rules."""

    def __init__(
        self, promises: Promises, engine: PolicyEngine, *, accepts_unsigned: bool = False
    ) -> None:
        """Decide by ``promises`` and ``engine``.

        With ``accepts_unsigned``, for development, intents without a signature have every right.
        """
        self._promises = promises
        self._engine = engine
        self._accepts_unsigned = accepts_unsigned

    def service(self) -> Service:
        """Return the service with its handlers."""
        service = Service("policy", emits=OUTCOMES)
        service.on(ApplyResource, self.decide, stream=_stream_of)
        service.on(DeleteResource, self.decide, stream=_stream_of)
        service.on(RetryOperation, self.decide, stream=_stream_of)
        service.on(AbandonOperation, self.decide, stream=_stream_of)
        service.on(ReleaseResource, self.decide, stream=_stream_of)
        for request in REQUESTS:
            service.on(request, self.decide_request)
        for fact in (PrincipalDeclared, PrincipalRemoved, KeyRegistered, KeyRevoked):
            service.on(fact, self.learn)
        service.authenticate(self.authenticate)
        service.on(ResourceProvisioned, self.settle)
        service.on(ResourceDeleted, self.settle)
        service.on(ResourceFailed, self.settle)
        service.on(ResourceReleased, self.settle)
        service.on_invalid(self.refuse, *topics.INTENTS)
        service.on_conflict(self.record_conflict)
        service.on_discard(self.discard)
        return service

    async def authenticate(
        self, record: Record, envelope: Envelope, tx: Transaction
    ) -> Caller | None:
        """Return the principal of an intent; deny the record if there is none."""
        known = await tx.load(IDENTITY, EMPTY, evolve_authority)
        found = identify(
            known,
            SignedRecord(
                topic=record.topic,
                key=record.key,
                headers=record.headers,
                value=record.value,
                envelope=envelope,
            ),
            accepts_unsigned=self._accepts_unsigned,
        )
        if isinstance(found, Caller):
            return found
        operation = record_operation(record.topic, record.partition, record.offset)
        facts = [refuse(operation, envelope, found)]
        await tx.append(f"operation/{operation}", facts, key=str(operation), subject=str(operation))
        _measure(tx, facts, record)
        return None

    async def _forbidden(self, received: Received[Any], tx: Transaction) -> Violation | None:
        known = await tx.load(IDENTITY, EMPTY, evolve_authority)
        return forbidden(known, received.caller, received.message)

    async def learn(self, received: Received[Any], tx: Transaction) -> None:
        """Keep a fact about principals and keys: decisions are made by what is kept."""
        await _keep(IDENTITY, received, tx, key=IDENTITY)

    async def decide(
        self,
        received: Received[Any],
        tx: Transaction,
    ) -> None:
        """Decide on an intent about a resource."""
        envelope = received.envelope
        if facts := _unusable(envelope, received.caller):
            await self._append(tx, received, facts)
            return
        intent = ReceivedIntent(
            operation=operation_id(envelope.source, envelope.id),
            intent=IntentRef.of(envelope),
            message=received.message,
            data=envelope.data,
            now=tx.now,
            expirytime=_expiry(envelope),
            subject=envelope.subject,
            caller=received.caller,
            forbidden=await self._forbidden(received, tx),
        )
        state = await tx.load(_stream(intent.resource), ResourcePolicyState(), evolve)
        facts = decide(state, intent, self._promises, self._engine)
        await tx.append(_stream(intent.resource), facts, key=str(intent.resource))
        _measure(tx, facts, received.record)

    async def decide_request(self, received: Received[Any], tx: Transaction) -> None:
        """Decide on an intent that another service carries out."""
        envelope = received.envelope
        if facts := _unusable(envelope, received.caller):
            await self._append(tx, received, facts)
            return
        request = ReceivedRequest(
            operation=operation_id(envelope.source, envelope.id),
            intent=IntentRef.of(envelope),
            message=received.message,
            data=envelope.data,
            now=tx.now,
            expirytime=_expiry(envelope),
            caller=received.caller,
            forbidden=await self._forbidden(received, tx),
        )
        fact = decide_request(request)
        about = fact.about if isinstance(fact, RequestAllowed) else None
        await self._append(tx, received, [fact], about=about)

    async def settle(self, received: Received[Any], tx: Transaction) -> None:
        """Keep the end of an operation beside the decisions."""
        fact: Settled = received.message
        await _keep(_stream(fact.resource), received, tx, key=fact.resource)

    async def refuse(self, problem: InvalidEvent, tx: Transaction) -> None:
        """Deny an intent of unknown type, or with data that its type does not allow."""
        envelope = problem.envelope
        operation, intent = operation_id(envelope.source, envelope.id), IntentRef.of(envelope)
        resource = ResourceId.named_in(envelope.data)
        requested = envelope.data if len(envelope.body) <= INTENT_MAX_BYTES else None
        if problem.error is None or problem.model is None:
            facts = deny_unknown_type(
                operation=operation,
                intent=intent,
                topic=problem.record.topic,
                resource=resource,
                requested=requested,
                caller=problem.caller,
            )
        else:
            facts = deny_invalid(
                operation=operation,
                intent=intent,
                resource=resource,
                requested=requested,
                violations=violations_of(problem.error, problem.model),
                caller=problem.caller,
            )
        await self._append(tx, problem, facts)

    async def record_conflict(self, conflict: ConflictingEvent, tx: Transaction) -> None:
        """Record that the id of an intent was used again with another body, which is ignored."""
        envelope = conflict.envelope
        resource = ResourceId.named_in(envelope.data)
        fact = IntentConflicted(
            operation=operation_id(envelope.source, envelope.id),
            intent=IntentRef.of(envelope),
            caller=conflict.caller,
            resource=str(resource) if resource else None,
            first=conflict.first,
            again=conflict.again,
        )
        await self._append(tx, conflict, [fact])

    async def discard(self, discarded: Discarded, tx: Transaction) -> bool:
        """Deny an intent on which policy could not decide, and whose record is discarded."""
        envelope = discarded.envelope
        fact = deny_discarded(
            operation=discarded.operation,
            intent=IntentRef.of(envelope),
            resource=ResourceId.named_in(envelope.data),
            requested=envelope.data if len(envelope.body) <= INTENT_MAX_BYTES else None,
            caller=discarded.caller,
            by=discarded.by,
        )
        await self._append(tx, discarded, [fact])
        return True

    async def _append(
        self,
        tx: Transaction,
        event: Received[Any] | InvalidEvent | ConflictingEvent | Discarded,
        facts: Sequence[Fact],
        *,
        about: str | None = None,
    ) -> None:
        """Append facts that do not change a resource's state to the stream of the operation.

        Their key is ``about``, else the resource, else the operation.
        """
        envelope = event.envelope
        operation = operation_text(envelope.source, envelope.id)
        key = about or str(ResourceId.named_in(envelope.data) or operation)
        await tx.append(f"operation/{operation}", facts, key=key, subject=key)
        _measure(tx, facts, event.record)


async def _keep(stream: str, received: Received[Any], tx: Transaction, *, key: str) -> None:
    """Append another service's fact to ``stream``, unpublished."""
    envelope = received.envelope
    await tx.append_raw(
        stream,
        id_=event_id("policy", envelope.source, envelope.id, 0),
        type_=envelope.type,
        data=received.message.model_dump_json(),
        metadata={"source": envelope.source, "id": envelope.id},
        key=key,
    )


def _measure(tx: Transaction, facts: Sequence[Fact], record: Record) -> None:
    """Count decisions, and measure the time since the intent was published."""
    seconds = max(0.0, tx.now.timestamp() - record.timestamp / 1000)
    for fact in facts:
        tx.measure(telemetry.DECISIONS.labels(OUTCOMES[type(fact)]).inc, 1)
        tx.measure(telemetry.DECISION_SECONDS.observe, seconds)


def _unusable(envelope: Envelope, caller: Caller | None) -> list[Fact]:
    """Return the denial of an intent that is too large or has a bad attribute; else nothing."""
    if len(envelope.body) > INTENT_MAX_BYTES:
        return _too_large(envelope, caller)
    try:
        _expiry(envelope)
    except Unreadable:
        return _bad_expiry(envelope, caller)
    return []


def _too_large(envelope: Envelope, caller: Caller | None) -> list[Fact]:
    violation = Violation(
        rule="size",
        message=f"the intent has {len(envelope.body)} bytes, {INTENT_MAX_BYTES} are allowed",
        fix="store large content elsewhere and refer to it",
    )
    return _invalid(envelope, violation, caller, requested=None)


def _bad_expiry(envelope: Envelope, caller: Caller | None) -> list[Fact]:
    violation = Violation(
        rule="expirytime",
        message="the attribute expirytime is not an RFC 3339 timestamp with an offset",
        fix="write it as in 2026-01-31T12:00:00Z, or leave it out",
    )
    return _invalid(envelope, violation, caller, requested=envelope.data)


def _invalid(
    envelope: Envelope, violation: Violation, caller: Caller | None, *, requested: object
) -> list[Fact]:
    return deny_invalid(
        operation=operation_id(envelope.source, envelope.id),
        intent=IntentRef.of(envelope),
        resource=ResourceId.named_in(envelope.data),
        requested=requested,
        violations=[violation],
        caller=caller,
    )


def _expiry(envelope: Envelope) -> datetime | None:
    text = envelope.extensions.get("expirytime")
    return read_time(text, name="expirytime") if text is not None else None


def _stream(resource: object) -> str:
    return f"resource/{resource}"


def _stream_of(intent: ApplyResource | DeleteResource | InterventionIntent) -> str:
    return _stream(f"{intent.team}/{intent.environment}/{intent.promise}/{intent.name}")
