"""From readable events to handlers: once each, in order, conflicts and strangers answered."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from busbar.kernel.canonical import digest
from busbar.kernel.errors import BusbarError, Conflict, Reject
from busbar.kernel.ids import operation_id
from busbar.messages import topics
from busbar.messages.base import IntentRef, Message
from busbar.messages.catalogue import belongs
from busbar.messages.delivery import DeadLetterRedriven, RedriveDeadLetter
from busbar.messages.envelope import Envelope, Unreadable
from busbar.runtime import wire
from busbar.runtime.bus import Record
from busbar.runtime.dead_letters import DeadLetters, shortened
from busbar.runtime.logs import bind, get_logger
from busbar.runtime.service import Conflicting, Handler, Problem, Received, Service
from busbar.runtime.store import STORE_AWAY, Cause, Transaction

log = get_logger()

Identity = tuple[str, str]

MAX_PLACES = 10
"""How many of the places where data do not fit are named."""


@dataclass(frozen=True, slots=True)
class Readable:
    """A record that is a CloudEvent."""

    record: Record
    envelope: Envelope


class Dispatcher:
    """Gives each event to its handler, once."""

    def __init__(self, service: Service, letters: DeadLetters) -> None:
        """Dispatch to the handlers of ``service``; redrive from ``letters``."""
        self._service = service
        self._letters = letters
        self._handlers: dict[str, tuple[type[Message], Handler]] = {
            **service.handlers,
            RedriveDeadLetter.TYPE: (RedriveDeadLetter, self._redrive),
        }
        self.skipped = 0
        """Events of types that nobody here asked for."""

    async def handle(self, tx: Transaction, items: Sequence[Readable]) -> None:
        """Handle those of ``items`` that are wanted and new to the inbox, in order."""
        first_in_batch: dict[Identity, Readable] = {}
        repeated: list[Readable] = []
        for item in items:
            identity = (item.envelope.source, item.envelope.id)
            if not self._wants(item):
                self.skipped += 1
            elif identity in first_in_batch:
                repeated.append(item)
            else:
                first_in_batch[identity] = item
        digests = {key: self._digest(item.envelope) for key, item in first_in_batch.items()}
        seen = await tx.inbox.first_seen(self._service.name, digests)
        known: list[Readable] = []
        for identity, item in first_in_batch.items():
            before = seen[identity]
            if before is None:
                await self._dispatch(tx, item)
            else:
                digests[identity] = before
                known.append(item)
        for item in (*known, *repeated):
            await self._repeat(tx, item, digests[item.envelope.source, item.envelope.id])

    async def _dispatch(self, tx: Transaction, item: Readable) -> None:
        envelope = item.envelope
        with bind(operation=envelope.extensions.get("correlationid"), event=envelope.id):
            tx.caused_by(_cause(envelope))
            known = self._handler(item)
            if known is None:
                await self._answer(tx, Problem(envelope, item.record))
                return
            model, handler = known
            try:
                message = model.model_validate(envelope.data)
            except ValidationError as error:
                await self._answer(tx, Problem(envelope, item.record, error, model))
                return
            await handler(Received(message, envelope, item.record), tx)

    async def _answer(self, tx: Transaction, problem: Problem) -> None:
        if self._service.invalid is not None:
            await self._service.invalid(problem, tx)
            return
        errors = problem.error.errors(include_input=False) if problem.error else []
        places = ", ".join("/" + "/".join(map(str, item["loc"])) for item in errors[:MAX_PLACES])
        raise Reject("invalid_data", f"{problem.envelope.type} does not fit its schema at {places}")

    async def _repeat(self, tx: Transaction, item: Readable, first: str) -> None:
        again = self._digest(item.envelope)
        if self._service.conflict is None or first == again:
            return
        # However often the same other body comes, it is told once.
        identity = (item.envelope.source, f"{item.envelope.id}|{again}")
        seen = await tx.inbox.first_seen(self._service.name, {identity: again})
        if seen[identity] is not None:
            return
        tx.caused_by(_cause(item.envelope, again))
        await self._service.conflict(Conflicting(item.envelope, item.record, first, again), tx)

    def _wants(self, item: Readable) -> bool:
        known = self._handler(item)
        if known is not None and known[0] is RedriveDeadLetter:
            data = item.envelope.data
            return isinstance(data, dict) and data.get("service") == self._service.name
        if known is not None:
            return True
        # Whoever answers invalid intents answers the unknown ones on its topics as well.
        return self._service.invalid is not None and item.record.topic in self._service.answers

    def _handler(self, item: Readable) -> tuple[type[Message], Handler] | None:
        """Who handles the event: nobody if it comes where events of its type are not published."""
        known = self._handlers.get(item.envelope.type)
        return known if known is not None and belongs(known[0], item.record.topic) else None

    def _digest(self, envelope: Envelope) -> str:
        """What tells another body under the same identity; only kept where somebody compares."""
        if self._service.conflict is None:
            return ""
        return digest([envelope.type, envelope.subject, envelope.data])

    # -- redrive --------------------------------------------------------------------------------

    async def _redrive(self, received: Received[RedriveDeadLetter], tx: Transaction) -> None:
        """Handle a dead letter again, in the transaction of the intent that asks for it."""
        intent, envelope = received.message, received.envelope
        letter = await self._letters.find(tx, intent.letter)
        fields: dict[str, str] = {"outcome": "unknown_letter", "detail": "there is no such letter"}
        if letter is not None:
            fields = await self._try_again(tx, letter)
        tx.caused_by(_cause(envelope))
        fact = DeadLetterRedriven.model_validate(
            {
                "operation": operation_id(envelope.source, envelope.id),
                "letter": intent.letter,
                "service": self._service.name,
                "intent": IntentRef.of(envelope),
                **fields,
            }
        )
        topic = topics.dead_letters(self._service.name)
        await tx.append(f"letter/{intent.letter}", [fact], key=intent.letter, topic=topic)

    async def _try_again(self, tx: Transaction, letter: Record) -> dict[str, str]:
        envelope = wire.read(letter)
        if isinstance(envelope, Unreadable):
            return {"outcome": "failed", "detail": f"still unreadable: {envelope.detail}"}
        identity = (envelope.source, envelope.id)
        try:
            async with tx.savepoint():
                marks = {identity: self._digest(envelope)}
                seen = await tx.inbox.first_seen(self._service.name, marks)
                if seen[identity] is not None:
                    return {"outcome": "handled", "detail": "its event was handled meanwhile"}
                await self._dispatch(tx, Readable(letter, envelope))
        except (Conflict, *STORE_AWAY):
            raise
        except BusbarError as error:
            return {"outcome": "failed", "detail": shortened(str(error))}
        except Exception as error:
            log.exception("redrive_failed")
            detail = f"{self._service.name} failed with {type(error).__name__}"
            return {"outcome": "failed", "detail": detail}
        return {"outcome": "handled", "detail": ""}


def _cause(envelope: Envelope, *more: str) -> Cause:
    operation = str(operation_id(envelope.source, envelope.id))
    return Cause(
        envelope.source,
        "|".join((envelope.id, *more)),
        envelope.extensions.get("correlationid", operation),
        envelope.extensions.get("traceparent"),
    )
