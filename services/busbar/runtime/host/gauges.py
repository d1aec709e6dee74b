"""Gauges that are refreshed by a scrape, without blocking it.

The database is queried at most once a second, with limited counts. If it does not answer within a
second, the scrape omits its gauges and reports that (``busbar_store_up``).
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta

from busbar.kernel.clock import Clock, parse_time
from busbar.runtime.consume.engine import Engine
from busbar.runtime.outbox.relay import Relay
from busbar.runtime.store import Store, StoreTransaction, StoreUnavailable
from busbar.runtime.telemetry import metrics
from busbar.runtime.telemetry.meters import seconds_between
from busbar.runtime.telemetry.metrics import NowGauge

COUNT_LIMIT = 10_000
"""Largest count that is queried."""

REFRESH_INTERVAL = timedelta(seconds=1)
QUERY_TIMEOUT_SECONDS = 1.0

Behind = Callable[[], Awaitable[int]]
"""Returns the number of records on the broker that were not delivered yet."""


class Gauges:
    """The gauges of one service's process."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        """Report on ``store``; :meth:`attach` adds the other parts of the process."""
        self._store = store
        self._clock = clock
        self._engine: Engine | None = None
        self._relay: Relay | None = None
        self._behind: Behind | None = None
        self._kinds: tuple[str, ...] = ()
        self._counts: dict[str, NowGauge] = {}
        self._queried_at: datetime | None = None
        self._querying: asyncio.Task[None] | None = None

    def attach(
        self,
        *,
        engine: Engine,
        relay: Relay,
        behind: Behind,
        kinds: Collection[str],
        counts: Mapping[str, NowGauge] = {},
    ) -> None:
        """Report on these parts as well; ``counts`` are gauges of documents by their kind."""
        self._engine, self._relay, self._behind = engine, relay, behind
        self._kinds = tuple(kinds)
        self._counts = dict(counts)

    async def expose(self) -> bytes:
        """Refresh all gauges, and return all metrics for a scrape."""
        await self.refresh_process()
        await self._refresh_store()
        return metrics.exposition()

    # -- the process ----------------------------------------------------------------------------

    async def refresh_process(self) -> None:
        """Refresh the gauges of the process; the lag needs that every few seconds."""
        service = self._store.service
        if self._relay is not None:
            metrics.RELAY_LEADER.labels(service).set(self._relay.leads)
        if self._engine is None or self._behind is None:
            return
        metrics.CONSUMER_STOPPED.labels(service).set(self._engine.stopped)
        seconds, records = self._engine.meter.lag(await self._behind())
        metrics.CONSUMER_LAG_SECONDS.labels(service).set(seconds)
        metrics.CONSUMER_LAG_RECORDS.labels(service).set(records)

    # -- the database ---------------------------------------------------------------------------

    async def _refresh_store(self) -> None:
        """Query the database, unless a query is running or less than a second ago."""
        now = self._clock.now()
        if self._querying is None or self._querying.done():
            if (
                self._queried_at is not None
                and timedelta() <= now - self._queried_at < REFRESH_INTERVAL
            ):
                return
            self._queried_at = now
            self._querying = asyncio.create_task(self._query())
        await asyncio.wait([self._querying], timeout=QUERY_TIMEOUT_SECONDS)
        if not self._querying.done():
            self._drop_store_gauges()

    async def _query(self) -> None:
        try:
            async with self._store.reading() as tx:
                await self._count(tx)
        except StoreUnavailable:
            self._drop_store_gauges()
            return
        metrics.STORE_UP.labels(self._store.service).set(1)

    async def _count(self, tx: StoreTransaction) -> None:
        service = self._store.service
        parked = await tx.parked.count(service, limit=COUNT_LIMIT)
        metrics.CONSUMER_PARKED.labels(service).set(parked)
        backlog = await tx.outbox.backlog(limit=COUNT_LIMIT)
        metrics.RELAY_BACKLOG.labels(service).set(backlog)
        metrics.STORE_GUARD_LAG.labels(service).set(_age(await tx.log.hidden_since(), tx.now))
        for kind, counted in self._counts.items():
            counted.set(await tx.documents.count(kind, limit=COUNT_LIMIT))
        for kind in self._kinds:
            count, oldest = await tx.tasks.overdue(kind, limit=COUNT_LIMIT)
            metrics.TASKS_DUE.labels(service, kind).set(count)
            metrics.TASKS_OLDEST.labels(service, kind).set(_age(oldest, tx.now))
            waiting = await tx.tasks.waiting(kind, limit=COUNT_LIMIT)
            metrics.TASKS_WAITING.labels(service, kind).set(waiting)

    def _drop_store_gauges(self) -> None:
        """Remove the gauges of the store: their last values would pass for current ones."""
        service = self._store.service
        metrics.STORE_UP.labels(service).set(0)
        alone = (metrics.CONSUMER_PARKED, metrics.RELAY_BACKLOG, metrics.STORE_GUARD_LAG)
        for gauge in alone:
            gauge.remove(service)
        for counted in self._counts.values():
            counted.set(math.nan)
        for kind in self._kinds:
            metrics.TASKS_DUE.remove(service, kind)
            metrics.TASKS_OLDEST.remove(service, kind)
            metrics.TASKS_WAITING.remove(service, kind)


def _age(since: str | None, now: datetime) -> float:
    return 0.0 if since is None else seconds_between(parse_time(since), now)
