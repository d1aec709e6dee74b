"""Records, a toy service and helpers for tests of the runtime."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from busbar.kernel.clock import Clock
from busbar.kernel.ids import operation_id
from busbar.messages.base import Fact, IntentRef
from busbar.messages.codec import kafka as codec
from busbar.messages.delivery import DeadLettered, HeadPublished
from busbar.messages.envelope import Envelope
from busbar.messages.notification import DeleteSubscription, Unsubscribed
from busbar.runtime.consume.dead_letters import DeadLetters
from busbar.runtime.consume.engine import Engine
from busbar.runtime.consume.service import Received, Service
from busbar.runtime.core.bus import Partition, Record
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.outbox.events import GENESIS, chain
from busbar.runtime.outbox.relay import Relay, RelayTiming
from busbar.runtime.store import Cause, Claim, Document, Store, Transaction
from busbar.runtime.store.parts.outbox import BatchLimits
from busbar.runtime.store.schema import tables
from busbar.testing import ManualClock, RecordingPublisher
from busbar.testing.clock import START
from support.sql import own, run_sql

BEGIN = START
SOURCE = "urn:team:payments"
CAUSE = Cause(SOURCE, "cause-1", "correlation-1")
KEY = bytes(range(32))


def cipher() -> Cipher:
    return Cipher(KEY)


def fact(number: int = 1) -> Unsubscribed:
    """A small fact that carries ``number``."""
    return Unsubscribed(
        operation=operation_id(SOURCE, str(number)),
        intent=IntentRef(source=SOURCE, id=str(number), type=DeleteSubscription.TYPE),
        subscription=f"payments/s{number}",
    )


def numbers(facts: tuple[Fact, ...]) -> list[int]:
    """The numbers that facts of :func:`fact` carry."""
    return [
        int(item.subscription.removeprefix("payments/s"))
        for item in facts
        if isinstance(item, Unsubscribed)
    ]


NOTHING: tuple[Fact, ...] = ()


def collect(state: tuple[Fact, ...], event: Fact) -> tuple[Fact, ...]:
    """An ``evolve`` that remembers everything."""
    return (*state, event)


def intent(number: int, **more: Any) -> dict[str, Any]:
    """Data of a :class:`DeleteSubscription` that asks for ``number``."""
    return {"team": "payments", "name": f"s{number}", **more}


def record(
    offset: int,
    data: object = None,
    *,
    id_: str | None = None,
    type_: str = DeleteSubscription.TYPE,
    topic: str = DeleteSubscription.TOPIC,
    partition: int = 0,
    extensions: Mapping[str, str] | None = None,
    key: str | None = None,
    timestamp: int = 0,
) -> Record:
    """A record as the bus delivers it: by default, the intent with the number ``offset``.

    Each is an ordering key of its own unless ``key`` says otherwise.
    """
    envelope = Envelope(
        id=id_ or f"intent-{offset}",
        source=SOURCE,
        type=type_,
        extensions=extensions or {},
        data=intent(offset) if data is None else data,
        key=key or f"payments/s{offset}",
    )
    headers, value, raw_key = codec.write(envelope)
    return Record(topic, partition, offset, timestamp, raw_key, value, headers)


def unreadable(offset: int, value: bytes = b"{", *, partition: int = 0) -> Record:
    """A record that is not a CloudEvent."""
    return Record(DeleteSubscription.TOPIC, partition, offset, 0, b"k", value, [("x", None)])


def subscription_fact(received: Received[DeleteSubscription]) -> Unsubscribed:
    """The answer of the toy service: it does what the intent asks for."""
    envelope = received.envelope
    return Unsubscribed(
        operation=operation_id(envelope.source, envelope.id),
        intent=IntentRef.of(envelope),
        subscription=f"{received.message.team}/{received.message.name}",
    )


async def append(store: Store, stream: str, *found: int, index: int = 0) -> list[str]:
    """Append :func:`fact` for each number, caused by the first of them."""

    async def body(tx: Transaction) -> list[str]:
        tx.caused_by(Cause(SOURCE, f"{stream}-{found[0]}", "correlation"), index=index)
        return await tx.append(stream, [fact(number) for number in found], key=stream)

    return await store.transact(body)


async def facts_of(store: Store, stream: str) -> list[int]:
    """The numbers of the facts in ``stream``, oldest first."""
    async with store.reading() as tx:
        return numbers(await tx.load(stream, NOTHING, collect))


class Toy:
    """A service that answers every intent with a fact, and fails where the test asks for it."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        attempts: int = 3,
        asked_on: str = DeleteSubscription.TOPIC,
        topic: str | None = None,
    ) -> None:
        self.store = store
        self.topic = topic
        self.clock = clock
        self.attempts = attempts
        self.service = Service("policy")
        # An event counts only on the topic of its type, so a topic of one's own needs a type.
        asked: type[DeleteSubscription] = DeleteSubscription
        if asked_on != DeleteSubscription.TOPIC:
            asked = type("Asked", (DeleteSubscription,), {"TOPIC": asked_on})
        self.service.on(asked, self.handle)
        self.dead_letters = DeadLetters("policy", cipher())
        self.handled: list[str] = []
        """The name in every intent that reached the handler, failed or not."""
        self.failing: dict[str, list[BaseException]] = {}
        """What to raise for an intent of this name, one after the other."""
        self.broken: dict[str, BaseException] = {}
        """What to raise for an intent of this name, always."""
        self.engine = self.restarted()

    def restarted(self) -> Engine:
        """The engine of a new process on the same store."""
        self.engine = Engine(
            self.service,
            self.store,
            self.dead_letters,
            clock=self.clock,
            attempts=self.attempts,
            jitter=lambda: 1.0,
        )
        return self.engine

    async def handle(self, received: Received[DeleteSubscription], tx: Transaction) -> None:
        name = received.message.name
        self.handled.append(name)
        answer = subscription_fact(received)
        await tx.append("done", [answer], key="payments", topic=self.topic)
        await tx.documents.put(Document(kind="last", key=name, value={"n": len(self.handled)}))
        await tx.tasks.schedule("follow-up", name)
        if self.failing.get(name):
            raise self.failing[name].pop(0)
        if name in self.broken:
            raise self.broken[name]

    async def done(self) -> list[int]:
        """The answers, in order."""
        return await facts_of(self.store, "done")

    async def offsets(self) -> dict[Partition, int]:
        async with self.store.reading() as tx:
            return await tx.inbox.offsets("policy")

    async def dead(self) -> list[DeadLettered]:
        """The published dead letters."""
        return [
            DeadLettered.model_validate_json(event.data)
            for event in await self.store.events(limit=10_000)
            if event.type == DeadLettered.TYPE
        ]

    async def effects(self) -> dict[str, int]:
        """The number of rows that each kind of effect has left."""
        names = ("events", "inbox", "offsets", "tasks", "documents", "dead_letters")
        async with self.store.reading() as tx:
            return {
                name: len((await run_sql(tx, select(tables.metadata.tables[name]))).all())
                for name in names
            }


def relay_of(
    store: Store,
    publisher: RecordingPublisher,
    clock: ManualClock,
    holder: str = "a",
    *,
    timing: RelayTiming | None = None,
    limits: BatchLimits | None = None,
) -> Relay:
    return Relay(
        store,
        publisher,
        clock=clock,
        holder=holder,
        lease=5,
        timing=timing,
        limits=limits,
        jitter=lambda: 1.0,
    )


async def drain(relay: Relay) -> None:
    while await relay.step():
        pass


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """``work`` goes on until the end of the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def relaying(relay: Relay) -> AbstractAsyncContextManager[None]:
    return running(relay.run())


async def claimed_by(store: Store, holder: str, *, kind: str, lease: float) -> list[Claim]:
    """The claims that ``holder`` can take now."""

    async def body(tx: Transaction) -> list[Claim]:
        length = timedelta(seconds=lease)
        return list(await own(tx).tasks.claim(kind, holder=holder, lease=length, limit=9))

    return await store.transact(body)


def facts_on(publisher: RecordingPublisher) -> list[tuple[int, str]]:
    """Sequence and subscription of the published facts, in the order of publishing."""
    return [
        (int(envelope.extensions["sequence"]), envelope.data["subscription"])
        for envelope in publisher.of(Unsubscribed.TYPE)
    ]


def expected_facts(*numbers: int, first: int = 1) -> list[tuple[int, str]]:
    return [(first + index, f"payments/s{number}") for index, number in enumerate(numbers)]


def heads_on(publisher: RecordingPublisher) -> list[HeadPublished]:
    return [HeadPublished.model_validate(item.data) for item in publisher.of(HeadPublished.TYPE)]


def links(envelopes: Sequence[Envelope]) -> list[str]:
    """The chain of digests that an outsider computes from the published records alone."""
    found = [GENESIS]
    for envelope in envelopes:
        found.append(chain(found[-1], envelope.source, envelope.id, envelope.type, envelope.data))
    return found


async def marks_of(store: Store) -> dict[str, int]:
    async with store.reading() as tx:
        return {row.name: row.value for row in await run_sql(tx, select(tables.checkpoints))}
