"""Handlers of policy: load the state, decide, and append one decision for every intent."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from busbar.kernel.clock import time_of
from busbar.kernel.errors import Retry
from busbar.kernel.ids import event_id, operation_id, operation_text, record_operation
from busbar.kernel.resource import ResourceId
from busbar.messages import topics
from busbar.messages.authority import EMPTY
from busbar.messages.authority import evolve as evolve_authority
from busbar.messages.base import Fact, Intent, IntentRef
from busbar.messages.caller import Caller
from busbar.messages.delivery import DiscardDeadLetter, RedriveDeadLetter
from busbar.messages.envelope import Envelope
from busbar.messages.generation import Settled
from busbar.messages.identity import (
    EraseSubject,
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
from busbar.policy.handlers.unusable import expiry_of, repeatable, unreadable, unusable
from busbar.runtime.consume.service import (
    ConflictingEvent,
    Discarded,
    InvalidEvent,
    Received,
    Service,
)
from busbar.runtime.core.bus import Record
from busbar.runtime.personal import Opened, PersonalData
from busbar.runtime.store import Transaction

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
    EraseSubject,
)
"""Intents that another service carries out once they are allowed; they change no resource."""


class Policy:
    """Decides on intents by the promises and the rules."""

    def __init__(
        self,
        promises: Promises,
        engine: PolicyEngine,
        personal: PersonalData,
        *,
        accepts_unsigned: bool = False,
    ) -> None:
        """Decide by ``promises`` and ``engine``; seal ``personal`` values in what is kept.

        With ``accepts_unsigned``, for development, intents without a signature have every right.
        """
        self._promises = promises
        self._engine = engine
        self._personal = personal
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
        """Return the principal of an intent; deny the record if there is none.

        Raises:
            Retry: identity has announced nothing yet, so no signature can be verified.
        """
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
        if known is EMPTY and found.reason == "unknown_key":
            raise Retry("policy has heard of no principal yet: identity announces them", after=0.5)
        operation = record_operation(record.topic, record.partition, record.offset)
        facts = [refuse(operation, envelope, found)]
        await tx.append(f"operation/{operation}", facts, key=str(operation), subject=str(operation))
        _measure(tx, facts, record)
        return None

    async def _forbidden(self, received: Received[Any], tx: Transaction) -> Violation | None:
        known = await tx.load(IDENTITY, EMPTY, evolve_authority)
        return forbidden(known, received.caller, received.message)

    async def _sealed(self, event: Received[Any] | InvalidEvent | Discarded) -> Envelope:
        """Return the envelope of an intent with its personal values sealed."""
        envelope, at = event.envelope, time_of(event.record.timestamp)
        data = await self._personal.seal(envelope.data, at=at)
        return envelope if data is envelope.data else replace(envelope, data=data)

    async def _opened(self, message: Intent, sealed: Envelope) -> Opened:
        """Return the spec of an intent with its personal values in clear, to check it."""
        if not isinstance(message, ApplyResource):
            return Opened({})
        return await self._personal.open(sealed.data["spec"], message.team)

    async def learn(self, received: Received[Any], tx: Transaction) -> None:
        """Keep a fact about principals and keys: decisions are made by what is kept."""
        await _keep(IDENTITY, received, tx, key=IDENTITY)

    async def decide(
        self,
        received: Received[Any],
        tx: Transaction,
    ) -> None:
        """Decide on an intent about a resource."""
        envelope = await self._sealed(received)
        opened = await self._opened(received.message, envelope)
        if facts := unusable(envelope, received.caller) or unreadable(
            envelope, received.caller, opened
        ):
            await self._append(tx, received, facts)
            return
        message, sealed_spec = received.message, None
        if opened.values or envelope is not received.envelope:
            message = message.model_copy(update={"spec": opened.tree})
            sealed_spec = envelope.data["spec"]
        intent = ReceivedIntent(
            operation=operation_id(envelope.source, envelope.id),
            intent=IntentRef.of(envelope),
            message=message,
            sealed_spec=sealed_spec,
            data=envelope.data,
            now=tx.now,
            expirytime=expiry_of(envelope),
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
        envelope = await self._sealed(received)
        if facts := unusable(envelope, received.caller):
            await self._append(tx, received, facts)
            return
        request = ReceivedRequest(
            operation=operation_id(envelope.source, envelope.id),
            intent=IntentRef.of(envelope),
            message=received.message,
            data=envelope.data,
            now=tx.now,
            expirytime=expiry_of(envelope),
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
        envelope = await self._sealed(problem)
        operation, intent = operation_id(envelope.source, envelope.id), IntentRef.of(envelope)
        resource = ResourceId.named_in(envelope.data)
        requested = repeatable(envelope)
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
        envelope = await self._sealed(discarded)
        fact = deny_discarded(
            operation=discarded.operation,
            intent=IntentRef.of(envelope),
            resource=ResourceId.named_in(envelope.data),
            requested=repeatable(envelope),
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


def _stream(resource: object) -> str:
    return f"resource/{resource}"


def _stream_of(intent: ApplyResource | DeleteResource | InterventionIntent) -> str:
    return _stream(f"{intent.team}/{intent.environment}/{intent.promise}/{intent.name}")
