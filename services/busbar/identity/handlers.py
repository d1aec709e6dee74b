"""Handlers of identity: read the declaration, and decide about keys."""

from collections.abc import Sequence
from uuid import UUID

from busbar.identity.domain import (
    PrincipalsFile,
    decide_register,
    decide_revoke,
    declare,
    revoked_heads,
)
from busbar.kernel.canonical import digest
from busbar.kernel.ids import operation_id
from busbar.messages.authority import EMPTY, Authority, evolve
from busbar.messages.base import Fact, IntentRef
from busbar.messages.delivery import HeadKeyRevoked
from busbar.messages.identity import (
    ORDER,
    EraseSubject,
    KeyRefused,
    KeyRegistered,
    KeyRevoked,
    PrincipalDeclared,
    PrincipalRemoved,
    RegisterKey,
    RevokeKey,
    SubjectErased,
)
from busbar.messages.request import RequestAllowed
from busbar.runtime.consume.service import Discarded, Received, Service
from busbar.runtime.personal import PersonalData
from busbar.runtime.store import Cause, Store, Transaction
from busbar.runtime.telemetry.logs import get_logger

log = get_logger()

STREAM = "identity"
EMITS = (
    PrincipalDeclared,
    PrincipalRemoved,
    KeyRegistered,
    KeyRevoked,
    KeyRefused,
    HeadKeyRevoked,
    SubjectErased,
)


class Identity:
    """The one writer of principals and keys; it erases ``personal`` data."""

    def __init__(self, personal: PersonalData) -> None:
        self._personal = personal

    def service(self) -> Service:
        """Return the service with its handlers."""
        service = Service("identity", emits=EMITS)
        service.on_request(RegisterKey, self.register)
        service.on_request(RevokeKey, self.revoke)
        service.on_request(EraseSubject, self.erase)
        service.on_discard(self.discard)
        return service

    async def declare(self, file: PrincipalsFile, store: Store) -> None:
        """Record what ``file`` changes; repeating it changes nothing."""

        async def body(tx: Transaction) -> int:
            known = await tx.load(STREAM, EMPTY, evolve)
            facts = declare(known, file)
            # The space in the source prevents collisions: no event can have such a source.
            version = f"{digest(file.model_dump(mode='json'))}/{known.changes}"
            tx.caused_by(Cause("declaration principals", version, version))
            await _append(tx, known, facts)
            return len(facts)

        changed = await store.transact(body)
        log.info("principals_declared", principals=len(file.principals), changed=changed)

    async def register(self, received: Received[RegisterKey], tx: Transaction) -> None:
        """Let a principal sign with one more key, or refuse it."""
        operation, intent = _about(received)
        known = await tx.load(STREAM, EMPTY, evolve)
        fact = decide_register(known, received.message, operation=operation, intent=intent)
        await _append(tx, known, [fact])

    async def revoke(self, received: Received[RevokeKey], tx: Transaction) -> None:
        """Refuse a key from now on."""
        operation, intent = _about(received)
        known = await tx.load(STREAM, EMPTY, evolve)
        fact = decide_revoke(known, received.message, operation=operation, intent=intent)
        await _append(tx, known, [fact])

    async def erase(self, received: Received[EraseSubject], tx: Transaction) -> None:
        """Destroy the key of a person's data, and announce it.

        The key is gone before the fact is stored; after a crash in between, the request is handled
        again and announces the same.
        """
        operation, intent = _about(received)
        subject = received.message.subject
        existed = await self._personal.erase(subject, operation=str(operation))
        fact = SubjectErased(subject=subject, existed=existed, operation=operation, intent=intent)
        await tx.append(f"subject/{subject}", [fact], key=ORDER)

    async def discard(self, discarded: Discarded, tx: Transaction) -> bool:
        """Refuse a request about a key whose record is discarded; nothing changes."""
        request = RequestAllowed.model_validate(discarded.envelope.data)
        fact = KeyRefused(
            operation=discarded.operation,
            intent=request.intent,
            reason="discarded",
            detail=f"identity could not handle it, and operation {discarded.by} discarded it",
            fix="send it again under a new id once the cause is fixed",
        )
        await tx.append(STREAM, [fact], key=ORDER)
        return True


async def _append(tx: Transaction, known: Authority, facts: Sequence[Fact]) -> None:
    """Append ``facts``, and have the revocation of a service's key among the service's heads."""
    await tx.append(STREAM, facts, key=ORDER)
    for one in revoked_heads(known, facts):
        await tx.append(STREAM, [one], key=one.relay)


def _about(
    received: Received[RegisterKey] | Received[RevokeKey] | Received[EraseSubject],
) -> tuple[UUID, IntentRef]:
    envelope = received.envelope
    return operation_id(envelope.source, envelope.id), IntentRef.of(envelope)
