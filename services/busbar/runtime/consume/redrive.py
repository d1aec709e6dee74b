"""Handlers of the intents about dead letters: redrive one, or discard it."""

from typing import Any, Final, Literal

from busbar.kernel.errors import Reject
from busbar.kernel.ids import operation_id
from busbar.messages.base import IntentRef
from busbar.messages.delivery import (
    DeadLetterDiscarded,
    DeadLetterRecovered,
    DeadLetterRedriven,
    DiscardDeadLetter,
    RedriveDeadLetter,
)
from busbar.runtime.consume.dead_letters import DeadLetters
from busbar.runtime.consume.parking import (
    PARKED,
    RetryRecord,
    append_fact,
    publish_outcome,
    redrive_request,
    try_record,
)
from busbar.runtime.consume.service import Received
from busbar.runtime.store import StoreTransaction


def _settled(settled: bool, fact: Any) -> bool:  # noqa: FBT001 - a state and a fact, as in a fold
    """Return whether a dead letter is handled or discarded after ``fact``."""
    match fact:
        case DeadLetterRecovered():
            return True
        case DeadLetterRedriven():
            return settled or fact.outcome == "handled"
        case DeadLetterDiscarded():
            return settled or fact.outcome == "discarded"
        case _:
            return settled


_UNKNOWN: Final = "there is no such dead letter"


class RedriveHandler:
    """Handles redrive and discard intents for the dead letters of one service."""

    def __init__(
        self,
        service: str,
        dead_letters: DeadLetters,
        retry_record: RetryRecord,
    ) -> None:
        """Look dead letters up in ``dead_letters``, and redrive them with ``retry_record``."""
        self._service = service
        self._dead_letters = dead_letters
        self._retry_record = retry_record

    async def redrive(self, received: Received[RedriveDeadLetter], tx: StoreTransaction) -> None:
        """Handle a dead letter again, after the records that are parked before it."""
        cause, dead_letter = tx.cause, received.message.dead_letter
        request = redrive_request(received.envelope, dead_letter, cause)
        ordering_key = await tx.parked.ordering_key_of(dead_letter)
        if ordering_key is not None:
            await tx.tasks.schedule(PARKED, ordering_key)
            await tx.parked.add_request(self._service, ordering_key, request)
            return
        try:
            record = await self._dead_letters.find(tx, dead_letter)
        except Reject as error:
            await publish_outcome(tx, self._service, request, "failed", error.detail)
            return
        if record is None:
            await publish_outcome(tx, self._service, request, "unknown_dead_letter", _UNKNOWN)
            return
        remark, problem = await try_record(self._service, self._retry_record, tx, record)
        outcome = "handled" if problem is None else "failed"
        await publish_outcome(
            tx, self._service, request, outcome, remark if problem is None else problem
        )

    async def discard(self, received: Received[DiscardDeadLetter], tx: StoreTransaction) -> None:
        """Discard a dead letter; the records parked behind it are tried immediately.

        One that parks no ordering key can be discarded as well, if it was not handled.
        """
        envelope, dead_letter = received.envelope, received.message.dead_letter
        outcome: Literal["discarded", "not_waiting", "unknown_dead_letter"] = "discarded"
        detail = ""
        if await self._let_go(tx, dead_letter):
            pass
        elif not await self._dead_letters.knows(tx, dead_letter):
            outcome, detail = "unknown_dead_letter", _UNKNOWN
        elif await tx.load(f"dead-letter/{dead_letter}", False, _settled):
            outcome, detail = "not_waiting", "it was handled or discarded before"
        fact = DeadLetterDiscarded(
            operation=operation_id(envelope.source, envelope.id),
            dead_letter=dead_letter,
            service=self._service,
            intent=IntentRef.of(envelope),
            outcome=outcome,
            detail=detail,
        )
        await append_fact(tx, self._service, fact)

    async def _let_go(self, tx: StoreTransaction, dead_letter: str) -> bool:
        ordering_key = await tx.parked.ordering_key_of(dead_letter)
        if ordering_key is None:
            return False
        await tx.tasks.schedule(PARKED, ordering_key)
        await tx.parked.filter_parked(self._service, [ordering_key])
        # It may have been handled while this transaction waited for a retry of the ordering key.
        if await tx.parked.ordering_key_of(dead_letter) is None:
            return False
        await tx.parked.remove(dead_letter)
        return True
