"""The registry of a service's handlers: ``service.on(ApplyResource, self.decide)``."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import ValidationError

from busbar.messages import topics
from busbar.messages.base import Intent, Message
from busbar.messages.caller import Caller
from busbar.messages.delivery import (
    DeadLetterDiscarded,
    DeadLettered,
    DeadLetterRecovered,
    DeadLetterRedriven,
    HeadPublished,
)
from busbar.messages.envelope import Envelope, Unreadable
from busbar.messages.request import RequestAllowed
from busbar.runtime.core.bus import Record
from busbar.runtime.store import Transaction
from busbar.runtime.store.model.eager_claim import Preload
from busbar.runtime.tasks.runner import CONCURRENCY, Job, Worker
from busbar.runtime.telemetry.metrics import NowGauge

M = TypeVar("M", bound=Message)
Requested = TypeVar("Requested", bound=Intent)

BY_RUNTIME: tuple[type[Message], ...] = (
    DeadLettered,
    DeadLetterRedriven,
    DeadLetterRecovered,
    DeadLetterDiscarded,
    HeadPublished,
)
"""Facts that the runtime publishes for every service."""


@dataclass(frozen=True, slots=True)
class Received(Generic[M]):
    """A message, the envelope it came in, and the record it came from.

    ``caller`` is the principal of an intent, if the service authenticates.
    """

    message: M
    envelope: Envelope
    record: Record
    caller: Caller | None = None


@dataclass(frozen=True, slots=True)
class InvalidEvent:
    """A readable event that cannot be handled.

    ``error`` is the validation error of ``model``; both are None if the type is unknown.
    """

    envelope: Envelope
    record: Record
    error: ValidationError | None = None
    model: type[Message] | None = None
    caller: Caller | None = None


@dataclass(frozen=True, slots=True)
class ConflictingEvent:
    """An event whose source and id were seen before with another body.

    ``first`` and ``again`` are the digests of the two bodies.
    """

    envelope: Envelope
    record: Record
    first: str
    again: str
    caller: Caller | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded:
    """The event of a dead letter that is discarded, which the operation ``operation`` waits for.

    ``by`` is the operation of the request to discard it.
    """

    operation: UUID
    by: UUID
    envelope: Envelope
    record: Record
    caller: Caller | None = None


Handler = Callable[[Received[Any], Transaction], Awaitable[None]]
StreamOf = Callable[[Any], str]
InvalidEventHandler = Callable[[InvalidEvent, Transaction], Awaitable[None]]
ConflictHandler = Callable[[ConflictingEvent, Transaction], Awaitable[None]]
DiscardHandler = Callable[[Discarded, Transaction], Awaitable[bool]]
"""Ends the operation of a dead letter that is discarded; returns whether it has not ended yet."""
RecordFilter = Callable[[Record], bool]
FilterFactory = Callable[[Sequence[Record], Transaction], Awaitable[RecordFilter]]
Authenticator = Callable[[Record, Envelope, Transaction], Awaitable[Caller | None]]
"""Returns the principal of an intent; None if it has recorded that there is none."""
RecordHandler = Callable[[Record, Envelope | Unreadable, Transaction], Awaitable[None]]


class Service:
    """A service: its name, the events and tasks that it handles, and the messages it emits."""

    def __init__(
        self,
        name: str,
        *,
        emits: Iterable[type[Message]] = (),
        executes: Iterable[str] = (),
        gather_seconds: float = 0.0,
    ) -> None:
        """Define the service ``name``; its consumer group is ``busbar.<name>``.

        ``emits`` are the messages that it may publish; appending another one for publication is
        an error. AsyncAPI and the examples of messages list the service as their sender.

        ``executes`` are topics of facts that this service carries out: one that it cannot handle
        blocks the operation that the fact names.

        Records may wait up to ``gather_seconds`` until a batch is larger: a batch costs
        milliseconds regardless of its size.
        """
        self.name = name
        self.emits = frozenset(emits)
        self.executes = frozenset(executes)
        self.gather_seconds = gather_seconds
        self.handlers: dict[str, tuple[type[Message], Handler]] = {}
        self.requests: dict[str, tuple[type[Intent], Handler]] = {}
        self.streams: dict[str, StreamOf] = {}
        self.jobs: dict[str, Job] = {}
        self.counts: dict[str, NowGauge] = {}
        self.invalid_handler: InvalidEventHandler | None = None
        self.unknown_type_topics: frozenset[str] = frozenset()
        self.conflict_handler: ConflictHandler | None = None
        self.discard_handler: DiscardHandler | None = None
        self.authenticator: Authenticator | None = None
        self.record_handler: RecordHandler | None = None
        self.filter_factory: FilterFactory | None = None
        self._topics: set[str] = set()

    @property
    def publishes(self) -> frozenset[type[Message]]:
        """The messages that it emits, and those that the runtime publishes for it."""
        return self.emits.union(BY_RUNTIME)

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that it reads, sorted; every service reads the requests that are allowed."""
        return tuple(sorted({*self._topics, RequestAllowed.TOPIC}))

    def on(
        self,
        message: type[M],
        handler: Callable[[Received[M], Transaction], Awaitable[None]],
        *,
        stream: Callable[[M], str] | None = None,
    ) -> None:
        """Register ``handler`` for events of the type of ``message``.

        ``stream`` names the stream that it loads for a message, so that all streams of a batch are
        read in one query.

        Raises:
            ValueError: the type has a handler already.
        """
        if message.TYPE in self.handlers:
            raise ValueError(f"{self.name} handles {message.TYPE} twice")
        self.handlers[message.TYPE] = (message, handler)
        if stream is not None:
            self.streams[message.TYPE] = stream
        if "{service}" in message.TOPIC:
            self._topics.update(topics.DEAD_LETTERS)
        else:
            self._topics.add(message.TOPIC)

    def on_request(
        self,
        intent: type[Requested],
        handler: Callable[[Received[Requested], Transaction], Awaitable[None]],
    ) -> None:
        """Register ``handler`` for intents of this type that policy has allowed.

        It receives the intent with the identity and attributes of its own event; the record is
        that of policy's fact.

        Raises:
            ValueError: the type has a handler already.
        """
        if intent.TYPE in self.requests:
            raise ValueError(f"{self.name} handles {intent.TYPE} twice")
        self.requests[intent.TYPE] = (intent, handler)

    def on_invalid(self, handler: InvalidEventHandler, *topic_names: str) -> None:
        """Register ``handler`` for intents with invalid data.

        On ``topic_names`` it also handles intents of unknown type.
        """
        self.invalid_handler = handler
        self.unknown_type_topics = frozenset(topic_names)

    def authenticate(self, authenticator: Authenticator) -> None:
        """Register ``authenticator``, which names the principal of every intent.

        An intent without one reaches no handler and does not take its source and id.
        """
        self.authenticator = authenticator

    def on_conflict(self, handler: ConflictHandler) -> None:
        """Register ``handler`` for events that are repeated with another body."""
        self.conflict_handler = handler

    def on_discard(self, handler: DiscardHandler) -> None:
        """Register ``handler`` for dead letters that are discarded while an operation waits.

        It is called once, in the transaction that discards: for an intent, for a fact on a topic
        that this service ``executes``, and for an allowed request that is for this service.
        """
        self.discard_handler = handler

    def on_record(self, handler: RecordHandler) -> None:
        """Register ``handler`` for every record of every topic, readable or not."""
        self.record_handler = handler
        self._topics.update(topics.ALL)

    def on_batch(self, factory: FilterFactory) -> None:
        """Register ``factory``, which returns a filter of the facts of a batch that are relevant.

        The other facts are skipped without decoding, like those of unsubscribed types.
        """
        self.filter_factory = factory

    def count(self, kind: str, gauge: NowGauge) -> None:
        """Set ``gauge`` to the number of documents of ``kind`` with every scrape.

        What is so now survives the processes that found it, unlike a counter.
        """
        self.counts[kind] = gauge

    def task(
        self,
        kind: str,
        worker: Worker,
        *,
        concurrency: int = CONCURRENCY,
        preload: Preload | None = None,
    ) -> None:
        """Register ``worker`` for tasks of ``kind``, up to ``concurrency`` of them concurrently.

        ``preload`` reads what its workers start with, in the transaction that claims the tasks.
        """
        self.jobs[kind] = Job(worker, concurrency, preload)
