"""Dispatch of readable events to handlers: once each and in order.

Conflicting, invalid and unknown events go to the handlers that the service registered for them.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import ValidationError

from busbar.kernel.canonical import digest
from busbar.kernel.errors import Reject
from busbar.kernel.ids import operation_text, record_operation
from busbar.messages import topics
from busbar.messages.base import Message
from busbar.messages.caller import Caller
from busbar.messages.catalogue import BY_TYPE, belongs
from busbar.messages.delivery import DiscardDeadLetter, RedriveDeadLetter
from busbar.messages.envelope import Envelope, Unreadable
from busbar.messages.request import RequestAllowed
from busbar.messages.validation import describe
from busbar.runtime.consume.dead_letters import DeadLetterReason, DeadLetters
from busbar.runtime.consume.parking import BY_REQUEST
from busbar.runtime.consume.redrive import RedriveHandler
from busbar.runtime.consume.service import (
    ConflictingEvent,
    Discarded,
    InvalidEvent,
    Received,
    RecordFilter,
    Service,
)
from busbar.runtime.core import encoding
from busbar.runtime.core.bus import Record
from busbar.runtime.store import Cause, StoreTransaction
from busbar.runtime.telemetry import tracing
from busbar.runtime.telemetry.logs import bind

Identity = tuple[str, str]

RuntimeHandler = Callable[[Received[Any], StoreTransaction], Awaitable[None]]
"""A handler of the service, or one of the runtime's own, which sees the whole transaction."""

_ABOUT_DEAD_LETTERS = frozenset({RedriveDeadLetter.TYPE, DiscardDeadLetter.TYPE})


class Readable(NamedTuple):
    """A record that is a CloudEvent, and the principal of an intent if it was authenticated."""

    record: Record
    envelope: Envelope
    caller: Caller | None = None


class DispatchCounts(NamedTuple):
    """Numbers of events of a batch: handled, skipped as unsubscribed, and seen before."""

    handled: int
    skipped: int
    repeated: int


class Dispatcher:
    """Passes each event to its handler, exactly once."""

    def __init__(self, service: Service, dead_letters: DeadLetters) -> None:
        """Dispatch to the handlers of ``service``; redrive the records in ``dead_letters``."""
        self._service = service
        self._dead_letters = dead_letters
        about_dead_letters = RedriveHandler(
            service.name, dead_letters, self.handle_kept, self.end_operation
        )
        self._about_dead_letters = about_dead_letters
        self._requests: dict[str, tuple[type[Message], RuntimeHandler]] = {
            **service.requests,
            RedriveDeadLetter.TYPE: (RedriveDeadLetter, about_dead_letters.redrive),
            DiscardDeadLetter.TYPE: (DiscardDeadLetter, about_dead_letters.discard),
        }
        self._handlers: dict[str, tuple[type[Message], RuntimeHandler]] = {
            **service.handlers,
            RequestAllowed.TYPE: (RequestAllowed, self._request),
        }

    async def handle(self, tx: StoreTransaction, items: Sequence[Readable]) -> DispatchCounts:
        """Handle those of ``items`` that are subscribed to and new to the inbox, in order."""
        skipped = 0
        items, refused = await self._authenticated(tx, items)
        first_in_batch: dict[Identity, Readable] = {}
        repeated: list[Readable] = []
        for item in items:
            identity = (item.envelope.source, item.envelope.id)
            if not self._is_subscribed(item):
                skipped += 1
            elif identity in first_in_batch:
                repeated.append(item)
            else:
                first_in_batch[identity] = item
        digests = {key: self._digest(item.envelope) for key, item in first_in_batch.items()}
        seen = await tx.inbox.first_seen(self._service.name, digests)
        new = [item for identity, item in first_in_batch.items() if seen[identity] is None]
        await self._dispatch(tx, new)
        known = [item for identity, item in first_in_batch.items() if seen[identity] is not None]
        digests |= {identity: before for identity, before in seen.items() if before is not None}
        for item in (*known, *repeated):
            await self._repeat(tx, item, digests[item.envelope.source, item.envelope.id])
        return DispatchCounts(len(new) + refused, skipped, len(known) + len(repeated))

    async def admits(self, tx: StoreTransaction, record: Record, envelope: Envelope | None) -> bool:
        """Return whether ``record`` may wait: an intent whose sender is not known is denied now."""
        if envelope is None or record.topic not in topics.INTENTS:
            return True
        found, _ = await self._authenticated(tx, [Readable(record, envelope)])
        return bool(found)

    async def _authenticated(
        self, tx: StoreTransaction, items: Sequence[Readable]
    ) -> tuple[Sequence[Readable], int]:
        """Return ``items`` with the principals of intents, and how many intents have none."""
        authenticator = self._service.authenticator
        if authenticator is None:
            return items, 0
        found: list[Readable] = []
        for item in items:
            if item.record.topic not in topics.INTENTS:
                found.append(item)
                continue
            tx.caused_by(_cause_of_record(item.record))
            caller = await authenticator(item.record, item.envelope, tx)
            if caller is not None:
                found.append(item._replace(caller=caller))
        return found, len(items) - len(found)

    def _parse(self, item: Readable) -> Message | InvalidEvent:
        """Return the message in the event, or the reason that it is invalid."""
        known = self._handler(item)
        if known is None:
            return InvalidEvent(item.envelope, item.record, caller=item.caller)
        model, _ = known
        try:
            return model.model_validate(item.envelope.data)
        except ValidationError as error:
            return InvalidEvent(item.envelope, item.record, error, model, item.caller)

    async def _dispatch(self, tx: StoreTransaction, items: Sequence[Readable]) -> None:
        """Pass each of ``items`` to its handler, after reading all their streams in one query."""
        found = [self._parse(item) for item in items]
        named = self._service.streams
        messages = [parsed for parsed in found if isinstance(parsed, Message)]
        await tx.fetch({named[one.TYPE](one) for one in messages if one.TYPE in named})
        for item, parsed in zip(items, found, strict=True):
            envelope = item.envelope
            naming = bind(operation=envelope.extensions.get("correlationid"), event=envelope.id)
            model = parsed.model if isinstance(parsed, InvalidEvent) else parsed
            type_ = model.TYPE if model is not None else "unknown"
            parent = envelope.extensions.get("traceparent")
            with tracing.processing(self._service.name, item.record, type_, parent) as here, naming:
                tx.caused_by(_cause(item, here.traceparent or parent))
                if isinstance(parsed, InvalidEvent):
                    await self._answer(tx, parsed)
                    continue
                _, handler = self._handlers[parsed.TYPE]
                await handler(Received(parsed, envelope, item.record, item.caller), tx)

    async def _request(self, received: Received[RequestAllowed], tx: StoreTransaction) -> None:
        """Pass a request that is allowed to the service's own handler, and to the intent's."""
        cause = tx.cause
        if own := self._service.handlers.get(RequestAllowed.TYPE):
            await own[1](received, tx)
        if self._is_for_this_service(received.envelope.data):
            tx.caused_by(cause, index=BY_REQUEST)
            await self._carry_out(received, tx)

    async def _carry_out(self, received: Received[RequestAllowed], tx: StoreTransaction) -> None:
        request, envelope = received.message, received.envelope
        model, handler = self._requests[request.intent.type]
        try:
            message = model.model_validate(request.requested)
        except ValidationError as error:
            errors = describe(error, model)
            raise Reject("invalid_data", f"{model.TYPE} is invalid: {errors}") from None
        intent = replace(
            envelope,
            id=request.intent.id,
            source=request.intent.source,
            type=request.intent.type,
            subject=request.about,
            data=request.requested,
        )
        await handler(Received(message, intent, received.record), tx)

    async def _answer(self, tx: StoreTransaction, problem: InvalidEvent) -> None:
        is_intent = problem.record.topic in topics.INTENTS
        if self._service.invalid_handler is not None and is_intent:
            await self._service.invalid_handler(problem, tx)
            return
        errors = describe(problem.error) if problem.error else "its type is unknown"
        raise Reject("invalid_data", f"{problem.envelope.type} is invalid: {errors}")

    async def _repeat(self, tx: StoreTransaction, item: Readable, first: str) -> None:
        again = self._digest(item.envelope)
        is_intent = item.record.topic in topics.INTENTS
        if self._service.conflict_handler is None or first == again or not is_intent:
            return
        # A conflicting body is reported once, however often it is repeated.
        identity = (item.envelope.source, f"{item.envelope.id}|{again}")
        seen = await tx.inbox.first_seen(self._service.name, {identity: again})
        if seen[identity] is not None:
            return
        parent = item.envelope.extensions.get("traceparent")
        tx.caused_by(_cause(item, parent, again))
        await self._service.conflict_handler(
            ConflictingEvent(item.envelope, item.record, first, again, item.caller), tx
        )

    def is_unsubscribed(self, record: Record, is_wanted: RecordFilter) -> bool:
        """Return whether ``record`` is a fact that this service does not subscribe to.

        It is decided by the type in the header and by ``is_wanted``, so that such a record need not
        be decoded: most records that a service sees are facts for other services.
        """
        if self._service.record_handler is not None or record.topic in topics.INTENTS:
            return False
        types = [value for name, value in record.headers if name == "ce_type"]
        if len(types) != 1 or types[0] is None:
            return False
        type_ = types[0].decode(errors="replace")
        model = BY_TYPE.get(type_)
        if model is None or not belongs(model, record.topic):
            return False
        return type_ not in self._handlers or not is_wanted(record)

    def _is_subscribed(self, item: Readable) -> bool:
        known = self._handler(item)
        if known is not None:
            is_request = known[0] is RequestAllowed
            has_own = known[0].TYPE in self._service.handlers
            return has_own or not is_request or self._is_for_this_service(item.envelope.data)
        # The handler of invalid intents also answers intents of unknown type on its topics.
        return (
            self._service.invalid_handler is not None
            and item.record.topic in self._service.unknown_type_topics
        )

    def _is_for_this_service(self, data: Any) -> bool:
        """Return whether the request in ``data``, which may be invalid, is handled here."""
        request = data if isinstance(data, dict) else {}
        intent, requested = request.get("intent"), request.get("requested")
        type_ = intent.get("type") if isinstance(intent, dict) else None
        if not isinstance(type_, str) or type_ not in self._requests:
            return False
        if type_ not in _ABOUT_DEAD_LETTERS:
            return True
        return isinstance(requested, dict) and requested.get("service") == self._service.name

    def _handler(self, item: Readable) -> tuple[type[Message], RuntimeHandler] | None:
        """Return the model and handler of the event; None if its type is not valid on its topic."""
        known = self._handlers.get(item.envelope.type)
        return known if known is not None and belongs(known[0], item.record.topic) else None

    def _digest(self, envelope: Envelope) -> str:
        """Return a digest that reveals another body under the same identity.

        It is only computed for services that handle conflicts.
        """
        if self._service.conflict_handler is None:
            return ""
        return digest([envelope.type, envelope.subject, envelope.data], parsed=True)

    # -- kept records ---------------------------------------------------------------------------

    async def handle_kept(self, tx: StoreTransaction, record: Record) -> str:
        """Handle a kept record as if it had just arrived; return a remark.

        Raises:
            Reject: it is still unreadable or of an unknown version.
            Exception: any error of its handler.
        """
        content = encoding.read(record)
        if self._service.record_handler is not None:
            return await self._record_kept(tx, record, content)
        if isinstance(content, Unreadable):
            raise Reject("unreadable", f"still unreadable: {content.detail}")
        found, _ = await self._authenticated(tx, [Readable(record, content)])
        if not found:
            return "its sender is refused"
        item = found[0]
        if why := self.unknown_version(item):
            raise Reject(why.reason, why.detail)
        identity = (content.source, content.id)
        seen = await tx.inbox.first_seen(self._service.name, {identity: self._digest(content)})
        if seen[identity] is not None:
            return "its event has been handled in the meantime"
        await self._dispatch(tx, [item])
        return ""

    async def end_operation(self, tx: StoreTransaction, record: Record, by: UUID) -> UUID | None:
        """End the operation that waits for a kept record, which operation ``by`` discards.

        That handles the event: sent again, or redriven, it changes nothing. Returns the operation,
        or None if none has ended.
        """
        content, operation = encoding.read(record), self._dead_letters.blocked(record)
        if operation is None or not isinstance(content, Envelope):
            return None
        end = self._discard_handler(record, content)
        found, _ = await self._authenticated(tx, [Readable(record, content)])
        if end is None or not found:
            return None  # without a principal it is denied by its place, and takes no source and id
        identity = (content.source, content.id)
        seen = await tx.inbox.first_seen(self._service.name, {identity: self._digest(content)})
        if seen[identity] is not None:
            return None
        tx.caused_by(self._dead_letters.cause(record, "discarded"))
        caller = found[0].caller
        discarded = Discarded(
            operation=operation, by=by, envelope=content, record=record, caller=caller
        )
        return operation if await end(discarded, tx) else None

    def _discard_handler(
        self, record: Record, envelope: Envelope
    ) -> Callable[[Discarded, StoreTransaction], Awaitable[bool]] | None:
        """Return what ends the operation of a discarded event, if that is this service's to do."""
        if record.topic != RequestAllowed.TOPIC:
            return self._service.discard_handler
        if not self._is_for_this_service(envelope.data):
            return None
        if envelope.data["intent"]["type"] in _ABOUT_DEAD_LETTERS:
            return self._about_dead_letters.end_request
        return self._service.discard_handler

    async def _record_kept(
        self, tx: StoreTransaction, record: Record, content: Envelope | Unreadable
    ) -> str:
        if self._service.record_handler is None:
            return ""
        # A source that no event can have: the only identity of the record is its offset.
        place = (f"record {record.topic}/{record.partition}", str(record.offset))
        seen = await tx.inbox.first_seen(self._service.name, {place: ""})
        if seen[place] is not None:
            return "its record has been kept in the meantime"
        await self._service.record_handler(record, content, tx)
        return ""

    def unknown_version(self, item: Readable) -> DeadLetterReason | None:
        """Return the reason if the fact is an unknown version of a type that is handled here."""
        topic, type_ = item.record.topic, item.envelope.type
        kind, _, version = type_.rpartition(".v")
        if topic in topics.INTENTS or not version.isdecimal() or type_ in self._handlers:
            return None
        known = [
            name
            for name, (model, _) in self._handlers.items()
            if name.rpartition(".v")[0] == kind and belongs(model, topic)
        ]
        if not known:
            return None
        detail = f"{self._service.name} knows {', '.join(sorted(known))}, not {type_}: deploy "
        return DeadLetterReason(
            "unknown_version", detail + "a release that knows it; it is then retried"
        )


def _cause_of_record(record: Record) -> Cause:
    """Return the cause of events about a record whose source and id are not trusted.

    The space in the source prevents collisions: the codec rejects events with such a source.
    """
    operation = record_operation(record.topic, record.partition, record.offset)
    place = f"record {record.topic}/{record.partition}"
    return Cause(place, str(record.offset), str(operation))


def _cause(item: Readable, traceparent: str | None, *more: str) -> Cause:
    envelope = item.envelope
    correlation = envelope.extensions.get("correlationid")
    return Cause(
        envelope.source,
        "|".join((envelope.id, *more)),
        correlation or operation_text(envelope.source, envelope.id),
        traceparent,
        _onbehalfof(item),
    )


def _onbehalfof(item: Readable) -> str | None:
    """Return the principal at the root of the chain: what an intent says of it is only a claim."""
    if item.record.topic in topics.INTENTS:
        return None if item.caller is None else item.caller.root
    return item.envelope.extensions.get("onbehalfof")
