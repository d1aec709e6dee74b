"""One transaction: load streams, append events, schedule tasks, save documents, all or nothing."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.kernel.clock import format_time
from busbar.kernel.errors import Reject
from busbar.kernel.ids import event_id
from busbar.messages import topics
from busbar.messages.base import Message
from busbar.messages.codec.json import MAX_LEVELS, nests_deeper
from busbar.messages.codec.kafka import MAX_BYTES
from busbar.runtime.store.model.commit_result import CommitResult, Measure
from busbar.runtime.store.model.eager_claim import ClaimTarget
from busbar.runtime.store.model.errors import Collision
from busbar.runtime.store.model.json import dumps
from busbar.runtime.store.model.rows import Cause
from busbar.runtime.store.model.state_cache import StateCache
from busbar.runtime.store.parts.dead_letters import SealedRecords
from busbar.runtime.store.parts.documents import Documents
from busbar.runtime.store.parts.inbox import Inbox
from busbar.runtime.store.parts.log import EventLog
from busbar.runtime.store.parts.outbox import Outbox
from busbar.runtime.store.parts.parked import Parked
from busbar.runtime.store.parts.streams import Streams
from busbar.runtime.store.parts.tasks import Tasks
from busbar.runtime.store.sql.dialect import Dialect
from busbar.runtime.store.sql.statements import EventRow

State = TypeVar("State")
_UnversionedRow = tuple[str, str, str, str, str, str, str, str | None, str | None, str, str]
"""An event's values in the order of its columns, without the version."""


class StoreTransaction:
    """The transaction of one handler. Appends are buffered and written together at the commit."""

    def __init__(
        self,
        connection: AsyncConnection,
        *,
        service: str,
        now: datetime,
        dialect: Dialect,
        states: StateCache,
        locked: frozenset[str] | None = None,
        claim_targets: Mapping[str, ClaimTarget] = {},
        publishable: frozenset[str] | None = None,
    ) -> None:
        """Wrap an open ``connection``; ``now`` is the recorded time of everything written.

        The streams in ``locked`` were locked before the first write; None makes it read-only.
        ``claim_targets`` are the runners of this process by the kind of their tasks. Only types in
        ``publishable`` may be published; None allows any.
        """
        self.now = now
        self.result = CommitResult()
        self._connection = connection
        statements = dialect.statements
        self.inbox = Inbox(connection, statements, now=now)
        self.parked = Parked(connection, statements, now=now)
        self.tasks = Tasks(
            connection, statements, now=now, written=self.result, claim_targets=claim_targets
        )
        self.documents = Documents(connection, statements, writing=locked is not None)
        self.sealed = SealedRecords(connection, now=now)
        self.outbox = Outbox(connection, dialect)
        self.log = EventLog(connection, dialect)
        self._streams = Streams(connection, statements, states)
        self._service = service
        self._publishable = publishable
        self._dialect = dialect
        self._locked = locked or frozenset()
        self._cause: Cause | None = None
        self._index = 0
        self._versions: dict[str, int] = {}
        self._written_by: dict[str, int] = {}
        self._pending: list[_UnversionedRow] = []
        self._stamp = format_time(now)

    @property
    def cause(self) -> Cause:
        """The message that is being handled."""
        if self._cause is None:
            raise RuntimeError("call caused_by() before appending")
        return self._cause

    def caused_by(self, cause: Cause | None, *, index: int = 0) -> None:
        """Set the cause of the following appends; their ids are numbered from ``index``.

        With None, as at the beginning, appending is an error.
        """
        self._cause = cause
        self._index = index

    @property
    def streams(self) -> frozenset[str]:
        """The names to lock of every stream and document that was touched."""
        return frozenset(self._written_by) | self.documents.touched

    # -- events ---------------------------------------------------------------------------------

    async def fetch(self, streams: Collection[str]) -> None:
        """Read ``streams`` in one query, so that loading them does not query again."""
        await self._streams.fetch(streams)

    async def load(
        self, stream: str, initial: State, evolve: Callable[[State, Any], State]
    ) -> State:
        """Return the state of ``stream``; a later append conflicts if another writer was first."""
        state, version, number = await self._streams.load(stream, initial, evolve)
        if stream not in self._versions:
            self._expect(stream, version, number)
        found: State = state
        return found

    async def append(
        self,
        stream: str,
        messages: Iterable[Message],
        *,
        key: str | None = None,
        subject: str | None = None,
        topic: str | None = None,
    ) -> list[str]:
        """Append ``messages`` to ``stream``, to be published under ``key``; return their ids.

        ``topic`` replaces the message's own, for families whose topic depends on the service.

        Raises:
            Reject: one is too large for its topic, or nests deeper than consumers read.
        """
        ids: list[str] = []
        for message in messages:
            cause = self.cause
            id_ = event_id(self._service, cause.source, cause.id, self._index)
            self._index += 1
            await self._add(
                stream,
                id_=id_,
                type_=message.TYPE,
                topic=topic or message.TOPIC,
                key=key,
                data=message.model_dump_json(),
                metadata={
                    "source": f"/busbar/{self._service}",
                    "subject": subject or key,
                    "traceparent": cause.traceparent,
                    "onbehalfof": cause.onbehalfof,
                },
            )
            ids.append(id_)
        return ids

    async def append_raw(
        self,
        stream: str,
        *,
        id_: str,
        type_: str,
        data: str,
        metadata: Mapping[str, Any],
        topic: str | None = None,
        key: str | None = None,
    ) -> None:
        """Append an event that is not a message of this service, such as a foreign intent."""
        await self._add(
            stream, id_=id_, type_=type_, topic=topic, key=key, data=data, metadata=metadata
        )

    async def _add(
        self,
        stream: str,
        *,
        id_: str,
        type_: str,
        topic: str | None,
        key: str | None,
        data: str,
        metadata: Mapping[str, Any],
    ) -> None:
        self._check_declared(topic, type_)
        _check(topic, type_, data)
        known = {name: value for name, value in metadata.items() if value is not None}
        self._pending.append(
            (
                stream,
                id_,
                type_,
                self._stamp,
                self._stamp,
                self.cause.correlation,
                self.cause.id,
                topic,
                key,
                data,
                dumps(known),
            )
        )
        self._streams.append(stream, id_=id_, type_=type_, data=data)
        self.result.events += 1
        if topic is not None:
            self.result.published += 1

    def _check_declared(self, topic: str | None, type_: str) -> None:
        """Keep what the service publishes equal to what it declares, which AsyncAPI lists."""
        if topic is None or self._publishable is None or type_ in self._publishable:
            return
        raise RuntimeError(
            f"{self._service} does not declare that it emits {type_}: "
            "add the message to emits=… of its Service"
        )

    async def _with_versions(self, pending: Sequence[_UnversionedRow]) -> list[EventRow]:
        """Return ``pending`` with the next versions of each stream."""
        streams = {row[0] for row in pending if row[0] not in self._versions}
        if streams:
            for stream in streams:
                self._expect(stream, 0, 0)
            newest = await self._dialect.statements.newest(self._connection, sorted(streams))
            for stream, version, number in newest:
                self._expect(stream, version, number)
        rows: list[EventRow] = []
        for stream, *rest in pending:
            self._versions[stream] += 1
            rows.append((stream, self._versions[stream], *rest))
        return rows

    async def flush(self) -> None:
        """Write what is buffered.

        Raises:
            Conflict: another writer appended to one of the streams first.
        """
        await self.tasks.offer_to_targets(self)
        if self._pending:
            pending = await self._with_versions(self._pending)
            self._pending = []
            streams = {str(row[0]) for row in pending}
            await self._lock_streams(streams - self._locked)
            try:
                await self._dialect.statements.insert_events(self._connection, pending)
            except IntegrityError as error:
                raise Collision(f"another writer appended to one of {sorted(streams)}") from error
            self._streams.mark_written(self._versions)
        await self.tasks.flush()

    def committed(self) -> None:
        """Cache the states that were loaded; call it after the commit."""
        self._streams.keep_states()

    def roll_back(self) -> None:
        """Discard what was buffered; call it if the transaction fails."""
        self.tasks.roll_back()
        self.result.roll_back(CommitResult().mark())

    async def _lock_streams(self, streams: set[str]) -> None:
        """Lock ``streams``, which were not locked before the first write.

        Readers go by transaction numbers (ADR 12), and this transaction got its number at its first
        write. A writer that has appended to one of the streams since then has a higher number, so
        readers would see the events of this transaction before those that they follow. That is a
        collision even if the expected version is right; the transaction runs again.
        """
        if not streams:
            return
        number = await self._dialect.try_lock(self._connection, self._service, streams)
        late = sorted(name for name in streams if self._written_by.get(name, 0) > number)
        if late:
            raise Collision(f"a later transaction appended to {late} first")

    def _expect(self, stream: str, version: int, number: int) -> None:
        """Record version and transaction number of the newest event of ``stream``."""
        self._versions[stream] = version
        self._written_by[stream] = number

    def measure(self, measure: Measure, value: float) -> None:
        """Call ``measure(value)`` after the commit; a rollback discards it."""
        self.result.measured.append((measure, value))

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Roll back everything done inside the block if it raises, and pass on the error."""
        await self.flush()
        versions, index, written = dict(self._versions), self._index, self.result.mark()
        try:
            async with self._connection.begin_nested():
                yield
                await self.flush()
        except BaseException:
            self._versions, self._index, self._pending = versions, index, []
            self._streams.roll_back()
            self.tasks.roll_back()
            self.result.roll_back(written)
            raise


def _check(topic: str | None, type_: str, data: str) -> None:
    """Reject what the relay could not publish: it would stop at this event.

    Raises:
        Reject: the event is too large for its topic, or nests too deeply.
    """
    if topic is None or topic in topics.DEAD_LETTERS:
        return
    written = data.encode()
    if nests_deeper(written):
        detail = f"{type_} would nest deeper than the {MAX_LEVELS} levels that an event may have"
        raise Reject("event_too_deep", detail)
    size = len(written)
    if size > MAX_BYTES:
        detail = f"{type_} would have {size} bytes; an event may have up to {MAX_BYTES}"
        raise Reject("event_too_large", detail)
