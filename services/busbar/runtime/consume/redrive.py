"""Handlers of the intents about dead letters: redrive one, or discard it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal
from uuid import UUID

from busbar.kernel.errors import ConfigurationError, Reject
from busbar.kernel.ids import operation_id
from busbar.messages.base import IntentRef
from busbar.messages.delivery import (
    DeadLetterDiscarded,
    DeadLetterRecovered,
    DeadLetterRedriven,
    DiscardDeadLetter,
    DiscardOutcome,
    RedriveDeadLetter,
)
from busbar.messages.request import RequestAllowed
from busbar.runtime.consume.dead_letters import DeadLetters
from busbar.runtime.consume.parking import (
    BY_REQUEST,
    PARKED,
    RetryRecord,
    append_fact,
    attempted,
    publish_outcome,
    redrive_request,
    try_record,
)
from busbar.runtime.consume.service import Discarded, Received
from busbar.runtime.core.bus import Record
from busbar.runtime.store import StoreTransaction

EndOperation = Callable[[StoreTransaction, Record, UUID], Awaitable[UUID | None]]
"""Ends the operation that waits for a record which is discarded by an operation; returns its id,
or None if none has ended by that."""

End = Literal["", "handled", "discarded"]


def _ended(end: End, fact: Any) -> End:
    """Return how a dead letter has ended after ``fact``; empty if it has not."""
    match fact:
        case DeadLetterRecovered() | DeadLetterRedriven(outcome="handled"):
            return end or "handled"
        case DeadLetterDiscarded(outcome="discarded"):
            return "discarded"
        case _:
            return end


_UNKNOWN: Final = "there is no such dead letter"
_DISCARDED: Final = "it was discarded"


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The outcome of a request to discard a dead letter, and the operation that ended with it."""

    name: DiscardOutcome
    detail: str = ""
    ended: UUID | None = None


class RedriveHandler:
    """Handles redrive and discard intents for the dead letters of one service."""

    def __init__(
        self,
        service: str,
        dead_letters: DeadLetters,
        retry_record: RetryRecord,
        end_operation: EndOperation,
    ) -> None:
        """Look dead letters up in ``dead_letters``, and redrive them with ``retry_record``.

        ``end_operation`` ends the operation that waits for one that is discarded.
        """
        self._service = service
        self._dead_letters = dead_letters
        self._retry_record = retry_record
        self._end_operation = end_operation

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
        if await self._end_of(tx, dead_letter) == "discarded":
            await publish_outcome(tx, self._service, request, "failed", _DISCARDED)
            return
        remark, problem = await try_record(self._service, self._retry_record, tx, record)
        outcome = "handled" if problem is None else "failed"
        await publish_outcome(
            tx, self._service, request, outcome, remark if problem is None else problem
        )

    async def discard(self, received: Received[DiscardDeadLetter], tx: StoreTransaction) -> None:
        """Discard a dead letter, and end the operation that waits for its record.

        The records that are parked behind it are tried immediately. One that parks no ordering key
        can be discarded as well, if it was not handled.
        """
        envelope, dead_letter, cause = received.envelope, received.message.dead_letter, tx.cause
        operation = operation_id(envelope.source, envelope.id)
        give_up = partial(self._give_up, tx, dead_letter, by=operation)
        outcome, problem = await attempted(self._service, tx, give_up)
        if outcome is None:
            detail = f"the operation that waits for it could not be ended: {problem}"
            outcome = _Outcome("failed", detail)
        fact = DeadLetterDiscarded(
            operation=operation,
            dead_letter=dead_letter,
            service=self._service,
            intent=IntentRef.of(envelope),
            outcome=outcome.name,
            detail=outcome.detail,
            ended=outcome.ended,
        )
        tx.caused_by(cause, index=BY_REQUEST)
        await append_fact(tx, self._service, fact)

    async def _give_up(self, tx: StoreTransaction, dead_letter: str, *, by: UUID) -> _Outcome:
        try:
            record = await self._dead_letters.find(tx, dead_letter)
        except (ConfigurationError, Reject) as error:
            # The data key is lost, or a person in the record was erased: what is parked behind it
            # can go on all the same.
            await self._let_go(tx, dead_letter)
            return _Outcome("discarded", f"no operation could be ended: {error}")
        if record is None:
            return _Outcome("unknown_dead_letter", _UNKNOWN)
        if not await self._let_go(tx, dead_letter) and await self._end_of(tx, dead_letter):
            return _Outcome("not_waiting", "it was handled or discarded before")
        ended = await self._end_operation(tx, record, by)
        detail = f"operation {ended}, which waited for it, has ended" if ended else ""
        return _Outcome("discarded", detail, ended)

    async def _end_of(self, tx: StoreTransaction, dead_letter: str) -> End:
        begin: End = ""
        return await tx.load(f"dead-letter/{dead_letter}", begin, _ended)

    async def _let_go(self, tx: StoreTransaction, dead_letter: str) -> bool:
        """Unpark a dead letter, and answer the requests to redrive it; False if it is not parked.

        Its ordering key is locked first: a retry of the key may be handling it now.
        """
        ordering_key = await tx.parked.ordering_key_of(dead_letter)
        if ordering_key is None:
            return False
        await tx.tasks.schedule(PARKED, ordering_key)
        wait = await tx.parked.first_parked(self._service, ordering_key)
        if wait is None or await tx.parked.ordering_key_of(dead_letter) is None:
            return False
        await tx.parked.remove(dead_letter)
        others = [one for one in wait.requests if one["dead_letter"] != dead_letter]
        await tx.parked.record_attempt(
            self._service, ordering_key, attempts=wait.attempts, requests=others
        )
        for request in wait.requests:
            if request["dead_letter"] == dead_letter:
                await publish_outcome(tx, self._service, request, "failed", _DISCARDED)
        return True

    async def end_request(self, discarded: Discarded, tx: StoreTransaction) -> bool:
        """End a request about a dead letter whose own record is discarded."""
        request = RequestAllowed.model_validate(discarded.envelope.data)
        about = {
            "operation": discarded.operation,
            "dead_letter": request.about,
            "service": self._service,
            "intent": request.intent,
            "outcome": "failed",
            "detail": f"its own record was discarded by operation {discarded.by}",
        }
        is_redrive = request.intent.type == RedriveDeadLetter.TYPE
        fact = (DeadLetterRedriven if is_redrive else DeadLetterDiscarded).model_validate(about)
        await append_fact(tx, self._service, fact)
        return True
