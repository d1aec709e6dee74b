"""Answers questions about the past, one resource or operation after the other."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from busbar.audit.domain import AuditRecord, By, Recent, Sentence, StateAt, explain
from busbar.audit.handlers.copy import RECORDS
from busbar.audit.handlers.reading import count, pages, record_of
from busbar.kernel.ids import record_operation
from busbar.messages import topics
from busbar.messages.http import Progress
from busbar.messages.read_scope import EVERYTHING, ReadScope, prefix_of
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
    """A sentence; ``position`` is where to continue after it, if that is possible there."""

    sentence: Sentence
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The state of one resource; ``cursor`` is where to continue after it."""

    view: ResourceView
    cursor: str


async def explanation(
    store: Store,
    *,
    scope: ReadScope = EVERYTHING,
    resource: str | None = None,
    operation: str | None = None,
    after: int = 0,
    last: int | None = None,
) -> AsyncIterator[Progress | Explained]:
    """Explain one operation, or those of a resource in the order in which they began.

    With ``last``, explain only so many of the newest operations of the resource. The first item
    is the progress with the number of records there are; it is 0 if the log has nothing.

    Only records in ``scope`` count, in each operation as well: a record may claim to belong to an
    operation of another team.
    """
    total = await count(store, scope=scope, resource=resource, operation=operation)
    yield Progress(what=READING, done=0, total=total)
    if operation is not None:
        async for sentence in _operation(store, operation, scope):
            yield Explained(sentence)
        return
    if resource is None:
        return
    if last is not None:
        for newest in await _newest(store, resource, last):
            async for sentence in _operation(store, newest, scope):
                yield Explained(sentence)
        return
    done = reported = 0
    known: Recent[str] = Recent(KNOWN_OPERATIONS)
    async for found in pages(store, scope=scope, after=after, resource=resource):
        for event in found:
            done += 1
            async for item in _from(store, event, known, scope):
                yield item
        if done - reported >= REPORT_EVERY:
            reported = done
            yield Progress(what=READING, done=done, total=total)


async def _from(
    store: Store, event: StoredEvent, known: Recent[str], scope: ReadScope
) -> AsyncIterator[Explained]:
    """Explain the operation that begins with ``event``, if one does."""
    if not event.correlation:
        sentences = explain([record_of(event)])
    elif known.add(event.correlation):
        sentences = []
        async for sentence in _operation(store, event.correlation, scope, begin=event):
            if sentences:
                yield Explained(sentences.pop())
            sentences.append(sentence)
    else:
        return
    for sentence in sentences:
        yield Explained(sentence, position=event.position)


async def _operation(
    store: Store, operation: str, scope: ReadScope, *, begin: StoredEvent | None = None
) -> AsyncIterator[Sentence]:
    """Explain ``operation``; with ``begin``, only if this is the first record of its key."""
    block: list[AuditRecord] = []
    async for found in pages(store, scope=scope, operation=operation):
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
    scope: ReadScope = EVERYTHING,
    at: str | None = None,
    by: By = "recorded",
    resource: str | None = None,
    after: str = "",
) -> AsyncIterator[Progress | Found]:
    """Return every resource in ``scope`` as of ``at``, or one, by id, deleted ones included."""
    total = await _facts(store) if scope.everything else None
    done = reported = 0
    async for name in _resources(store, scope, resource, after):
        state = StateAt(at=at, by=by)
        async for found in pages(store, scope=scope, resource=name, category=FACTS_ABOUT_RESOURCES):
            for event in found:
                if by == "event" or not state.is_late(event.recorded_time):
                    state.take(record_of(event))
            done += len(found)
            if done - reported >= REPORT_EVERY:
                reported = done
                shown = done if total is None else min(done, total)
                yield Progress(what=READING, done=shown, total=total)
        if state.view is not None:
            yield Found(state.view, cursor=name)


async def _facts(store: Store) -> int:
    """Count all facts about resources; for one team that would take as long as reading them."""
    async with store.reading() as tx:
        return sum((await tx.log.streams(FACTS_ABOUT_RESOURCES)).values())


async def _resources(
    store: Store, scope: ReadScope, only: str | None, after: str
) -> AsyncIterator[str]:
    if only is not None:
        yield only
        return
    prefixes = [""] if scope.teams is None else [prefix_of(team) for team in scope.teams]
    for prefix in prefixes:
        async for name in _keys(store, prefix, after):
            if not name.endswith("/"):  # records of a team that are about no resource
                yield name


async def _keys(store: Store, prefix: str, after: str) -> AsyncIterator[str]:
    while True:
        async with store.reading() as tx:
            names = await tx.log.keys(after=after, limit=KEYS, prefix=prefix)
        for name in names:
            yield name
        if len(names) < KEYS:
            return
        after = names[-1]
