"""What people may ask about dead letters, on the bus: to handle one again, or to give it up."""

from typing import Any, Literal

from busbar.kernel.ids import operation_id
from busbar.messages import topics
from busbar.messages.base import IntentRef
from busbar.messages.delivery import DeadLetterDiscarded, DiscardDeadLetter, RedriveDeadLetter
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


class RedriveHandler:
    """Answers for the dead letters of one service."""

    def __init__(self, service: str, dead_letters: DeadLetters, retry_record: RetryRecord) -> None:
        """Look into ``dead_letters`` and handle them by ``retry_record``."""
        self._service = service
        self._dead_letters = dead_letters
        self._retry_record = retry_record

    def is_responsible(self, data: Any) -> bool:
        """Whether an intent with ``data`` is for this service to answer."""
        named = data.get("service") if isinstance(data, dict) else None
        # Somebody has to answer for services that there are not.
        return named == self._service or (
            self._service == topics.SERVICES[0] and named not in topics.SERVICES
        )

    async def redrive(self, received: Received[RedriveDeadLetter], tx: StoreTransaction) -> None:
        """Handle a dead letter again; the records parked before it are handled first."""
        cause, dead_letter = tx.cause, received.message.dead_letter
        request = redrive_request(received.envelope, dead_letter, cause)
        ordering_key = await tx.parked.ordering_key_of(dead_letter)
        if ordering_key is not None:
            await tx.tasks.schedule(PARKED, ordering_key)
            await tx.parked.ask(self._service, ordering_key, request)
            return
        record = await self._dead_letters.find(tx, dead_letter)
        if record is None:
            await publish_outcome(
                tx, self._service, request, "unknown_dead_letter", self._unknown(received)
            )
            return
        remark, problem = await try_record(self._service, self._retry_record, tx, record)
        outcome = "handled" if problem is None else "failed"
        await publish_outcome(
            tx, self._service, request, outcome, remark if problem is None else problem
        )

    async def discard(self, received: Received[DiscardDeadLetter], tx: StoreTransaction) -> None:
        """Give a dead letter up; what waits behind it is tried at once."""
        envelope, dead_letter = received.envelope, received.message.dead_letter
        outcome: Literal["discarded", "not_waiting", "unknown_dead_letter"] = "discarded"
        detail = ""
        if await self._let_go(tx, dead_letter):
            pass
        elif await self._dead_letters.find(tx, dead_letter) is None:
            outcome, detail = "unknown_dead_letter", self._unknown(received)
        else:
            outcome, detail = "not_waiting", "nothing waits for it; it stays where it is"
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
        await tx.parked.among(self._service, [ordering_key])
        # It may have been handled while we waited for whoever tried the ordering key.
        if await tx.parked.ordering_key_of(dead_letter) is None:
            return False
        await tx.parked.take_out(dead_letter)
        return True

    def _unknown(self, received: Received[Any]) -> str:
        if received.message.service != self._service:
            return f"there is no service called {received.message.service}"
        return "there is no such dead letter"
