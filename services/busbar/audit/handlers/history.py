"""Answers questions about the past, one resource or operation after the other."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from busbar.audit.domain import AuditRecord, By, Recent, Sentence, StateAt, explain
from busbar.audit.handlers.copy import RECORDS
from busbar.audit.handlers.reading import count, pages, record_of
from busbar.kernel.ids import record_operation
from busbar.messages import topics
from busbar.messages.http import Progress
from busbar.messages.views import ResourceView
from busbar.runtime.store import Store, StoredEvent

BLOCK = 5000
"""Records of an operation that are put in the order of their times together."""

REPORT_EVERY = 2000
"""Records between two reports of the progress."""

KEYS = 200
KNOWN_OPERATIONS = 1000
FIRST_LOOK = 100
"""Records among which the newest operations of a resource are looked for to begin with."""

FACTS_ABOUT_RESOURCES = f"{RECORDS}{topics.FACTS_RESOURCE}/"
READING = "records read"


@dataclass(frozen=True, slots=True)
class Explained:
    """A sentence; ``cursor`` is where to continue after it, if that is possible there."""

    sentence: Sentence
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The state of one resource; ``cursor`` is where to continue after it."""

    view: ResourceView
    cursor: str


async def explanation(
    store: Store,
    *,
    resource: str | None = None,
    operation: str | None = None,
    after: int = 0,
    last: int | None = None,
) -> AsyncIterator[Progress | Explained]:
    """Explain one operation, or those of a resource in the order in which they began.

    With ``last``, explain only so many of the newest operations of the resource. The first item
    is the progress with the number of records there are; it is 0 if the log has nothing.
    """
    total = await count(store, resource=resource, operation=operation)
    yield Progress(what=READING, done=0, total=total)
    if operation is not None:
        async for sentence in _operation(store, operation):
            yield Explained(sentence)
        return
    if resource is None:
        return
    if last is not None:
        for newest in await _newest(store, resource, last):
            async for sentence in _operation(store, newest):
                yield Explained(sentence)
        return
    done = reported = 0
    known: Recent[str] = Recent(KNOWN_OPERATIONS)
    async for found in pages(store, after=after, resource=resource):
        for event in found:
            done += 1
            async for item in _from(store, event, known):
                yield item
        if done - reported >= REPORT_EVERY:
            reported = done
            yield Progress(what=READING, done=done, total=total)


async def _from(store: Store, event: StoredEvent, known: Recent[str]) -> AsyncIterator[Explained]:
    """Explain the operation that begins with ``event``, if one does."""
    if not event.correlation:
        sentences = explain([record_of(event)])
    elif known.add(event.correlation):
        sentences = []
        async for sentence in _operation(store, event.correlation, begin=event):
            if sentences:
                yield Explained(sentences.pop())
            sentences.append(sentence)
    else:
        return
    for sentence in sentences:
        yield Explained(sentence, cursor=str(event.position))


async def _operation(
    store: Store, operation: str, *, begin: StoredEvent | None = None
) -> AsyncIterator[Sentence]:
    """Explain ``operation``; with ``begin``, only if this is the first record of its key."""
    block: list[AuditRecord] = []
    async for found in pages(store, operation=operation):
        if begin is not None:
            first = next((event for event in found if event.key == begin.key), begin)
            if first.position != begin.position:
                return
            begin = None
        block += await _unrefused(store, [record_of(event) for event in found])
        if len(block) >= BLOCK:
            for sentence in explain(block):
                yield sentence
            block = []
    for sentence in explain(block):
        yield sentence


async def _unrefused(store: Store, found: list[AuditRecord]) -> list[AuditRecord]:
    """Return ``found`` without intents that were refused: those claim the id of another.

    A refusal has an operation of its own, which is named by the place of the record.
    """
    places = {
        str(record_operation(one.topic, one.partition, one.offset)): one
        for one in found
        if one.is_intent
    }
    if not places:
        return found
    async with store.reading() as tx:
        refused = await tx.log.correlations(places)
    forged = {id(places[operation]) for operation in refused}
    return [one for one in found if id(one) not in forged]


async def _newest(store: Store, resource: str, number: int) -> list[str]:
    """Return the ``number`` operations of ``resource`` with the newest records, oldest first."""
    limit = FIRST_LOOK
    while True:
        async with store.reading() as tx:
            found = await tx.log.newest_correlations(resource, limit=limit)
        operations = list(dict.fromkeys(operation for operation in found if operation))
        if len(operations) >= number or len(found) < limit:
            return operations[number - 1 :: -1] if operations else []
        limit *= 4


async def states(
    store: Store,
    *,
    at: str | None = None,
    by: By = "recorded",
    resource: str | None = None,
    after: str = "",
) -> AsyncIterator[Progress | Found]:
    """Return every resource as of ``at``, or one, by id, deleted ones included."""
    async with store.reading() as tx:
        total = sum((await tx.log.streams(FACTS_ABOUT_RESOURCES)).values())
    done = reported = 0
    async for name in _resources(store, resource, after):
        state = StateAt(at=at, by=by)
        async for found in pages(store, resource=name, category=FACTS_ABOUT_RESOURCES):
            for event in found:
                if by == "event" or not state.is_late(event.recorded_time):
                    state.take(record_of(event))
            done += len(found)
            if done - reported >= REPORT_EVERY:
                reported = done
                yield Progress(what=READING, done=min(done, total), total=total)
        if state.view is not None:
            yield Found(state.view, cursor=name)


async def _resources(store: Store, only: str | None, after: str) -> AsyncIterator[str]:
    if only is not None:
        yield only
        return
    while True:
        async with store.reading() as tx:
            names = await tx.log.keys(after=after, limit=KEYS)
        for name in names:
            yield name
        if len(names) < KEYS:
            return
        after = names[-1]
