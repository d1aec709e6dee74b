"""Running transactions on a store."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from busbar.kernel.clock import Clock
from busbar.runtime.core.shielding import shield_until_done
from busbar.runtime.store.model.commit_result import CommitResult
from busbar.runtime.store.model.eager_claim import ClaimTarget
from busbar.runtime.store.model.errors import Collision, StoreUnavailable
from busbar.runtime.store.model.rows import Claim, StoredEvent
from busbar.runtime.store.model.state_cache import StateCache
from busbar.runtime.store.sql.dialect import Dialect
from busbar.runtime.store.transaction import StoreTransaction
from busbar.runtime.telemetry.meters import StoreMeter

Result = TypeVar("Result")

RELAY = "relay"
"""The task whose lease says who publishes a store's events."""
Listener = Callable[[CommitResult], None]

ATTEMPTS = 5
"""Tries of a transaction that met another one. From the second on its streams are locked first."""

STALLED_AFTER = timedelta(seconds=5)
"""How long a session may say nothing inside of a transaction."""


@dataclass(slots=True)
class _Beginning:
    """What a transaction begins with: when, the claim to hold, what to read, what to lock."""

    begun: datetime
    fence: Claim | None
    reads: Collection[str]
    streams: set[str]


class Store:
    """One service's event store. Readers see the last commit and hold nobody up."""

    def __init__(
        self,
        *,
        service: str,
        writer: AsyncEngine,
        reader: AsyncEngine,
        clock: Clock,
        lock: Any,
        dialect: Dialect,
    ) -> None:
        """Use :func:`open_store`."""
        self.service = service
        self.clock = clock
        self._writer = writer
        self._reader = reader
        self._file_lock = lock
        self._dialect = dialect
        one = dialect.one_writer
        self._turn: AbstractAsyncContextManager[Any] = asyncio.Lock() if one else nullcontext()
        self._listeners: list[Listener] = []
        self._claim_targets: dict[str, ClaimTarget] = {}
        self._states = StateCache()
        self._meter = StoreMeter(service, clock)

    def on_commit(self, listener: Listener) -> None:
        """Have ``listener`` called after every commit."""
        self._listeners.append(listener)

    @contextmanager
    def eager_claims(self, kind: str, taker: ClaimTarget) -> Iterator[None]:
        """Have ``taker`` take tasks of ``kind`` as they are scheduled, inside the block.

        They are in what the listeners of :meth:`on_commit` are called with.
        """
        self._claim_targets[kind] = taker
        try:
            yield
        finally:
            if self._claim_targets.get(kind) is taker:
                del self._claim_targets[kind]

    async def transact(
        self,
        body: Callable[[StoreTransaction], Awaitable[Result]],
        *,
        fence: Claim | None = None,
        reads: Collection[str] = (),
        streams: Collection[str] = (),
    ) -> Result:
        """Run ``body`` in one transaction; ``fence`` has to be held still when it commits.

        ``reads`` are streams that it will read, in one go.

        A transaction that has begun is ended even if the caller is cancelled: a driver that is
        interrupted between two statements would keep the lock of the whole store.

        With several writers, ``body`` runs again if another one was first, now with every stream
        locked that it touched. ``streams`` are locked from the start.

        Raises:
            Conflict: another writer was first, time and again; run it again.
            Fenced: ``fence`` is held by another process now.
        """
        beginning = _Beginning(self._meter.now(), fence, reads, set(streams))
        return await shield_until_done(asyncio.create_task(self._transact(body, beginning)))

    async def _transact(
        self,
        body: Callable[[StoreTransaction], Awaitable[Result]],
        beginning: _Beginning,
    ) -> Result:
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._attempt(body, beginning)
            except Collision:
                self._meter.conflicted()
                if self._dialect.one_writer:
                    raise
        return await self._attempt(body, beginning)

    async def _attempt(
        self,
        body: Callable[[StoreTransaction], Awaitable[Result]],
        beginning: _Beginning,
    ) -> Result:
        """Try once; the streams that the transaction touches are locked the next time."""
        streams = beginning.streams
        with ExitStack() as undoing:
            async with (
                self._turn,
                connected(self._writer) as connection,
                self._dialect.writing(connection),
            ):
                if streams:
                    await self._dialect.lock(connection, self.service, streams)
                transaction = StoreTransaction(
                    connection,
                    service=self.service,
                    now=await self._dialect.now(connection, self.clock),
                    dialect=self._dialect,
                    states=self._states,
                    locked=frozenset(streams),
                    claim_targets=self._claim_targets,
                )
                undoing.callback(transaction.undone)
                try:
                    if beginning.fence is not None:
                        await transaction.tasks.hold(beginning.fence)
                    await transaction.fetch(beginning.reads)
                    result = await body(transaction)
                    await transaction.flush()
                finally:
                    streams |= transaction.streams
            undoing.pop_all()  # it is committed
        transaction.committed()
        self._meter.committed(beginning.begun, transaction.result.events)
        transaction.result.record()
        for listener in self._listeners:
            listener(transaction.result)
        return result

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[StoreTransaction]:
        """A consistent view for reading; what is appended to it is forgotten."""
        async with connected(self._reader) as connection, self._dialect.reading(connection):
            yield StoreTransaction(
                connection,
                service=self.service,
                now=await self._dialect.now(connection, self.clock),
                dialect=self._dialect,
                states=self._states,
            )

    async def events(
        self,
        *,
        after: int = 0,
        limit: int = 500,
        key: str | None = None,
        correlation: str | None = None,
        category: str = "",
    ) -> list[StoredEvent]:
        """Events in commit order, from the one after position ``after``.

        ``key`` and ``correlation`` keep those of one resource or one operation, ``category`` those
        of the streams whose names begin with it. Give the
        position of the last event of a page to get the next page; on PostgreSQL a position is a
        name and no measure: a later event may have a lower one (ADR 12).
        """
        async with self.reading() as transaction:
            return await transaction.log.page(
                after=after, limit=limit, key=key, correlation=correlation, category=category
            )

    async def last_position(self, *, category: str = "") -> int:
        """The position of the newest event that :meth:`events` would give; 0 if there is none."""
        async with self.reading() as transaction:
            return await transaction.log.newest(category=category) or 0

    async def alive(self) -> bool:
        """Whether the database answers."""
        try:
            async with self.reading() as transaction:
                await transaction.log.page(after=0, limit=1)
        except StoreUnavailable:
            return False
        return True

    async def terminate_stalled_sessions(self, *, after: timedelta = STALLED_AFTER) -> int:
        """End the sessions of frozen processes that hold readers up since ``after``; how many.

        What they had begun is undone, and told to them when they wake up.
        """
        async with connected(self._reader) as connection:
            return await self._dialect.terminate_stalled_sessions(connection, after=after)

    async def close(self) -> None:
        """Close every connection and let go of the file."""
        await self._writer.dispose()
        await self._reader.dispose()
        if self._file_lock is not None:
            self._file_lock.close()


@asynccontextmanager
async def connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection of ``engine``'s pool.

    Raises:
        StoreUnavailable: the database is unreachable, or every connection of the pool is busy.
    """
    async with AsyncExitStack() as stack:
        try:
            connection = await stack.enter_async_context(engine.connect())
        except StoreUnavailable:
            raise
        except (PoolTimeoutError, DBAPIError, OSError) as error:
            raise StoreUnavailable(f"no connection ({type(error).__name__})") from error
        yield connection
