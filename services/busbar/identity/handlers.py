"""Handlers of identity: read the declaration, and decide about keys."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from busbar.identity.domain import PrincipalsFile, decide_register, decide_revoke, declare
from busbar.kernel.canonical import digest
from busbar.kernel.ids import operation_id
from busbar.messages.authority import EMPTY, evolve
from busbar.messages.base import IntentRef
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
from busbar.runtime.consume.service import Received, Service
from busbar.runtime.store import Cause, Store, Transaction
from busbar.runtime.telemetry.logs import get_logger

log = get_logger()

Erase = Callable[[str, str], Awaitable[bool]]

STREAM = "identity"
EMITS = (PrincipalDeclared, PrincipalRemoved, KeyRegistered, KeyRevoked, KeyRefused, SubjectErased)


class Identity:
    """The one writer of principals and keys; it erases personal data with ``erase``.

    ``erase`` takes the pseudonym of a subject and the operation, destroys the key, and returns
    whether there was one. It is safe to repeat.
    """

    def __init__(self, erase: Erase) -> None:
        self._erase = erase

    def service(self) -> Service:
        """Return the service with its handlers."""
        service = Service("identity", emits=EMITS)
        service.on_request(RegisterKey, self.register)
        service.on_request(RevokeKey, self.revoke)
        service.on_request(EraseSubject, self.erase)
        return service

    async def declare(self, file: PrincipalsFile, store: Store) -> None:
        """Record what ``file`` changes; repeating it changes nothing."""

        async def body(tx: Transaction) -> int:
            known = await tx.load(STREAM, EMPTY, evolve)
            facts = declare(known, file)
            # The space in the source prevents collisions: no event can have such a source.
            version = f"{digest(file.model_dump(mode='json'))}/{known.changes}"
            tx.caused_by(Cause("declaration principals", version, version))
            await tx.append(STREAM, facts, key=ORDER)
            return len(facts)

        changed = await store.transact(body)
        log.info("principals_declared", principals=len(file.principals), changed=changed)

    async def register(self, received: Received[RegisterKey], tx: Transaction) -> None:
        """Let a principal sign with one more key, or refuse it."""
        operation, intent = _about(received)
        known = await tx.load(STREAM, EMPTY, evolve)
        fact = decide_register(known, received.message, operation=operation, intent=intent)
        await tx.append(STREAM, [fact], key=ORDER)

    async def revoke(self, received: Received[RevokeKey], tx: Transaction) -> None:
        """Refuse a key from now on."""
        operation, intent = _about(received)
        known = await tx.load(STREAM, EMPTY, evolve)
        fact = decide_revoke(known, received.message, operation=operation, intent=intent)
        await tx.append(STREAM, [fact], key=ORDER)

    async def erase(self, received: Received[EraseSubject], tx: Transaction) -> None:
        """Destroy the key of a person's data, and announce it.

        The key is gone before the fact is stored; after a crash in between, the request is handled
        again and announces the same.
        """
        operation, intent = _about(received)
        subject = received.message.subject
        existed = await self._erase(subject, str(operation))
        fact = SubjectErased(subject=subject, existed=existed, operation=operation, intent=intent)
        await tx.append(f"subject/{subject}", [fact], key=ORDER)


def _about(
    received: Received[RegisterKey] | Received[RevokeKey] | Received[EraseSubject],
) -> tuple[UUID, IntentRef]:
    envelope = received.envelope
    return operation_id(envelope.source, envelope.id), IntentRef.of(envelope)
