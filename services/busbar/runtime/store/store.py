"""The store of a service: it runs transactions and reads events."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator
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
from busbar.runtime.store.model.rows import ALL_KEYS, Claim, KeyScope, StoredEvent
from busbar.runtime.store.model.state_cache import StateCache
from busbar.runtime.store.sql.dialect import Dialect
from busbar.runtime.store.transaction import StoreTransaction
from busbar.runtime.telemetry.logs import get_logger
from busbar.runtime.telemetry.meters import StoreMeter
from busbar.runtime.telemetry.reachability import Reachability

log = get_logger()
Result = TypeVar("Result")

RELAY = "relay"
"""The task whose lease is held by the instance that publishes a store's events."""
Listener = Callable[[CommitResult], None]
Prepare = Callable[[], Awaitable[Callable[[], None]]]
"""Checks or creates the schema; returns a function that undoes what it has locked."""
Watch = Callable[[], Awaitable[None]]

ANSWER_SECONDS = 2.0
"""Time for an answer after which the database counts as unreachable."""

ATTEMPTS = 5
"""Attempts at a transaction that collides with others; retries lock its streams beforehand."""

STALLED_AFTER = timedelta(seconds=5)
"""Time without a message from the client after which a transaction counts as stalled."""


@dataclass(slots=True)
class _Request:
    """A call of :meth:`Store.transact`: its start, claim to hold, streams to read and to lock."""

    begun: datetime
    fence: Claim | None
    reads: Collection[str]
    streams: set[str]


class Store:
    """One service's event store. Readers see the last commit and do not block writers."""

    def __init__(
        self,
        *,
        service: str,
        writer: AsyncEngine,
        reader: AsyncEngine,
        clock: Clock,
        dialect: Dialect,
        prepare: Prepare,
        reachability: Reachability,
        watch: Watch | None = None,
    ) -> None:
        """Use :func:`open_store` or :func:`store_of` instead.

        ``prepare`` is called by :meth:`connect`, and returns what releases the store again.
        ``watch`` reports to ``reachability`` whether the database answers.
        """
        self.service = service
        self.clock = clock
        self._writer = writer
        self._reader = reader
        self._dialect = dialect
        self._prepare = prepare
        self._release: Callable[[], None] | None = None
        self._reachability = reachability
        self._watch = watch
        self._is_watched = False
        one = dialect.one_writer
        self._write_lock: AbstractAsyncContextManager[Any] = (
            asyncio.Lock() if one else nullcontext()
        )
        self._listeners: list[Listener] = []
        self._unknown_listeners: list[Callable[[], None]] = []
        self._claim_targets: dict[str, ClaimTarget] = {}
        self._states = StateCache()
        self._publishable: frozenset[str] | None = None
        self._meter = StoreMeter(service, clock)

    async def connect(self) -> None:
        """Connect to the database, and check or create the schema; transactions fail until then.

        A store that is connected stays as it is.

        Raises:
            ConfigurationError: the store cannot be opened; the error says what to change.
            StoreUnavailable: the database is unreachable; call it again.
        """
        if self._release is not None:
            return
        try:
            self._release = await self._prepare()
        except StoreUnavailable as error:
            self._reachability.failed(error.reason)
            raise
        self._reachability.answered()

    async def watch(self) -> None:
        """Watch the database until cancelled: what waits for a dead connection fails soon."""
        if self._watch is None:
            await asyncio.Event().wait()
            return
        self._is_watched = True
        try:
            await self._watch()
        finally:
            self._is_watched = False

    def on_commit(self, listener: Listener) -> None:
        """Call ``listener`` after every commit."""
        self._listeners.append(listener)

    def on_unknown(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after every transaction that may have committed without an answer."""
        self._unknown_listeners.append(listener)

    def publish_only(self, types: Iterable[str]) -> None:
        """Refuse to append an event to be published whose type is not one of ``types``."""
        self._publishable = frozenset(types)

    @contextmanager
    def eager_claims(self, kind: str, target: ClaimTarget) -> Iterator[None]:
        """Claim tasks of ``kind`` for ``target`` as they are scheduled, inside the block.

        Listeners of :meth:`on_commit` find them in :attr:`CommitResult.claimed`.
        """
        self._claim_targets[kind] = target
        try:
            yield
        finally:
            if self._claim_targets.get(kind) is target:
                del self._claim_targets[kind]

    async def transact(
        self,
        body: Callable[[StoreTransaction], Awaitable[Result]],
        *,
        fence: Claim | None = None,
        reads: Collection[str] = (),
        streams: Collection[str] = (),
    ) -> Result:
        """Run ``body`` in one transaction, which commits only if ``fence`` is still held.

        ``reads`` are streams that it will read; they are fetched in one query.

        A transaction that has begun runs to completion even if the caller is cancelled: a driver
        that is interrupted between two statements would keep the lock of the whole store.

        With several writers, ``body`` runs again if another one was first, then with every stream
        locked that it touched. ``streams`` are locked from the start.

        Raises:
            Conflict: another writer was first in every attempt; call it again.
            Fenced: another process holds the task of ``fence`` now.
        """
        request = _Request(self._meter.now(), fence, reads, set(streams))
        return await shield_until_done(asyncio.create_task(self._transact(body, request)))

    async def _transact(
        self,
        body: Callable[[StoreTransaction], Awaitable[Result]],
        request: _Request,
    ) -> Result:
        try:
            for _ in range(ATTEMPTS - 1):
                try:
                    return await self._attempt(body, request)
                except Collision:
                    self._meter.conflicted()
                    if self._dialect.one_writer:
                        raise
            return await self._attempt(body, request)
        except StoreUnavailable:
            for listener in self._unknown_listeners:
                listener()
            raise

    async def _attempt(
        self,
        body: Callable[[StoreTransaction], Awaitable[Result]],
        request: _Request,
    ) -> Result:
        """Run ``body`` once; the next attempt will lock the streams that it touched."""
        streams = request.streams
        with ExitStack() as on_failure:
            self._check_connected()
            async with (
                self._write_lock,
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
                    publishable=self._publishable,
                )
                on_failure.callback(transaction.roll_back)
                try:
                    if request.fence is not None:
                        await transaction.tasks.hold(request.fence)
                    await transaction.fetch(request.reads)
                    result = await body(transaction)
                    await transaction.flush()
                finally:
                    streams |= transaction.streams
            on_failure.pop_all()  # committed
        transaction.committed()
        self._meter.committed(request.begun, transaction.result.events)
        transaction.result.record()
        for listener in self._listeners:
            listener(transaction.result)
        return result

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[StoreTransaction]:
        """Open a transaction that reads one snapshot; appends to it are discarded."""
        self._check_connected()
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
        keys: KeyScope = ALL_KEYS,
        types: Collection[str] = (),
        max_bytes: int | None = None,
    ) -> list[StoredEvent]:
        """Return events in commit order, from the one after position ``after``.

        ``key`` and ``correlation`` select those of one resource or one operation, ``keys`` those
        with such keys, ``category`` those whose streams begin with it, ``types`` those of these
        types.
        With ``max_bytes``, a page ends before it is larger, but has at least one event. Pass the
        position of the last event of a page to get the next page. On PostgreSQL positions identify
        events and do not order them: a later event may have a lower one (ADR 12).
        """
        async with self.reading() as transaction:
            return await transaction.log.page(
                after=after,
                limit=limit,
                key=key,
                correlation=correlation,
                category=category,
                keys=keys,
                types=types,
                max_bytes=max_bytes,
            )

    async def last_position(self, *, category: str = "") -> int:
        """Return the position of the newest event of :meth:`events`; 0 if there is none."""
        async with self.reading() as transaction:
            return await transaction.log.newest(category=category) or 0

    async def problem(self) -> str | None:
        """Return since when the database is unreachable, and why; None if it answers."""
        if self._release is None:
            return self._reachability.problem or "the database is not connected yet"
        if not self._is_watched:
            await self._ask()
        return self._reachability.problem

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self.reading() as transaction:
                await transaction.log.page(after=0, limit=1)
        except StoreUnavailable as error:
            self._reachability.failed(error.reason)
        except TimeoutError:
            self._reachability.failed("no answer")
        else:
            self._reachability.answered()

    async def terminate_stalled_sessions(self, *, after: timedelta = STALLED_AFTER) -> int:
        """Terminate sessions that have blocked readers for ``after``; return how many.

        Their transactions are rolled back; a process that resumes gets an error.
        """
        self._check_connected()
        async with connected(self._reader) as connection:
            return await self._dialect.terminate_stalled_sessions(connection, after=after)

    def _check_connected(self) -> None:
        """Fail immediately while the database is unreachable, instead of waiting for a connection.

        Raises:
            StoreUnavailable: it is unreachable, or the store is not connected yet.
        """
        if self._release is None:
            raise StoreUnavailable("the database is not connected yet")
        if self._is_watched and not self._reachability.reachable:
            raise StoreUnavailable(str(self._reachability.problem))

    async def close(self) -> None:
        """Close every connection and release the lock of the file."""
        await self._writer.dispose()
        await self._reader.dispose()
        if self._release is not None:
            self._release()


@asynccontextmanager
async def connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Take a connection from the pool of ``engine`` for the duration of the block.

    Raises:
        StoreUnavailable: the database is unreachable, or every connection of the pool is busy.
    """
    stack = AsyncExitStack()
    try:
        connection = await stack.enter_async_context(engine.connect())
    except StoreUnavailable:
        raise
    except (PoolTimeoutError, DBAPIError, OSError) as error:
        raise StoreUnavailable(f"no connection ({type(error).__name__})") from error
    try:
        yield connection
    finally:
        try:
            await stack.aclose()
        except (DBAPIError, StoreUnavailable, OSError) as error:
            # The block is over, whatever its result: a dead connection does not change that.
            log.info("connection_lost_on_return", error=type(error).__name__)
