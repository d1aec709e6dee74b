"""How a service says what it consumes: ``@service.on(ApplyResource)``."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from busbar.messages import topics
from busbar.messages.base import Message
from busbar.messages.delivery import (
    DeadLetterDiscarded,
    DeadLettered,
    DeadLetterRecovered,
    DeadLetterRedriven,
    HeadPublished,
)
from busbar.messages.envelope import Envelope, Unreadable
from busbar.runtime.core.bus import Record
from busbar.runtime.store import Transaction
from busbar.runtime.store.model.eager_claim import Preload
from busbar.runtime.tasks.runner import CONCURRENCY, Job, Worker

M = TypeVar("M", bound=Message)

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
    """A message, the envelope it came in, and the record it came from."""

    message: M
    envelope: Envelope
    record: Record


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a readable event is none that can be handled.

    ``error`` is what ``model`` has against its data; both are None if the type itself is unknown.
    """

    envelope: Envelope
    record: Record
    error: ValidationError | None = None
    model: type[Message] | None = None


@dataclass(frozen=True, slots=True)
class ConflictingEvent:
    """An event that came before under the same source and id, with another body."""

    envelope: Envelope
    record: Record
    first: str
    again: str


Handler = Callable[[Received[Any], Transaction], Awaitable[None]]
StreamOf = Callable[[Any], str]
InvalidEventHandler = Callable[[Problem, Transaction], Awaitable[None]]
ConflictHandler = Callable[[ConflictingEvent, Transaction], Awaitable[None]]
Choice = Callable[[Record], bool]
Chooser = Callable[[Sequence[Record], Transaction], Awaitable[Choice]]
RecordHandler = Callable[[Record, Envelope | Unreadable, Transaction], Awaitable[None]]


class Service:
    """One service: its name, the messages it emits, and the handlers of those it consumes."""

    def __init__(
        self, name: str, *, emits: Iterable[type[Message]] = (), gather_seconds: float = 0.0
    ) -> None:
        """Make the service ``name``; its group is ``busbar.<name>``.

        ``emits`` are the messages that it may publish: appending another one to be published is
        an error. AsyncAPI and the examples of messages name the service as their sender.

        Its records may wait for up to ``gather_seconds`` for others to come with them: a batch
        costs milliseconds whatever is in it.
        """
        self.name = name
        self.emits = frozenset(emits)
        self.gather_seconds = gather_seconds
        self.handlers: dict[str, tuple[type[Message], Handler]] = {}
        self.streams: dict[str, StreamOf] = {}
        self.jobs: dict[str, Job] = {}
        self.invalid: InvalidEventHandler | None = None
        self.answers: frozenset[str] = frozenset()
        self.conflict: ConflictHandler | None = None
        self.record: RecordHandler | None = None
        self.chooser: Chooser | None = None
        self._topics: set[str] = set()

    @property
    def publishes(self) -> frozenset[type[Message]]:
        """The messages that it emits, and those that the runtime publishes for it."""
        return self.emits.union(BY_RUNTIME)

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics it reads, in order; every service hears who wants a dead letter redriven."""
        return tuple(sorted({*self._topics, topics.INTENTS_DEAD_LETTER}))

    def on(
        self, message: type[M], *, stream: Callable[[M], str] | None = None
    ) -> Callable[
        [Callable[[Received[M], Transaction], Awaitable[None]]],
        Callable[[Received[M], Transaction], Awaitable[None]],
    ]:
        """Have the decorated function handle events of this type.

        ``stream`` names what it loads for a message, so that a batch reads its streams in one go.
        """

        def register(
            handler: Callable[[Received[M], Transaction], Awaitable[None]],
        ) -> Callable[[Received[M], Transaction], Awaitable[None]]:
            if message.TYPE in self.handlers:
                raise ValueError(f"{self.name} handles {message.TYPE} twice")
            self.handlers[message.TYPE] = (message, handler)
            if stream is not None:
                self.streams[message.TYPE] = stream
            if "{service}" in message.TOPIC:
                self._topics.update(topics.DEAD_LETTERS)
            else:
                self._topics.add(message.TOPIC)
            return handler

        return register

    def on_invalid(self, *topic_names: str) -> Callable[[InvalidEventHandler], InvalidEventHandler]:
        """Have the decorated function answer intents whose data does not fit.

        On ``topic_names`` it answers intents of unknown type as well.
        """

        def register(handler: InvalidEventHandler) -> InvalidEventHandler:
            self.invalid = handler
            self.answers = frozenset(topic_names)
            return handler

        return register

    def on_conflict(self, handler: ConflictHandler) -> ConflictHandler:
        """Have ``handler`` record events that come again with another body."""
        self.conflict = handler
        return handler

    def on_record(self, handler: RecordHandler) -> RecordHandler:
        """Have ``handler`` take every record of every topic, readable or not."""
        self.record = handler
        self._topics.update(topics.ALL)
        return handler

    def on_batch(self, chooser: Chooser) -> Chooser:
        """Have ``chooser`` look at a batch of records, and tell which facts are worth reading.

        The others are passed over as those of types that nobody here asked for.
        """
        self.chooser = chooser
        return chooser

    def task(
        self, kind: str, *, concurrency: int = CONCURRENCY, preload: Preload | None = None
    ) -> Callable[[Worker], Worker]:
        """Have the decorated function work on the tasks of ``kind``, on so many at a time.

        ``preload`` reads what its workers start with, in the transaction that claims the tasks.
        """

        def register(worker: Worker) -> Worker:
            self.jobs[kind] = Job(worker, concurrency, preload)
            return worker

        return register
