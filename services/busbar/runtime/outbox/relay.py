"""The relay: publishes a store's events in commit order, under a gapless sequence.

It stamps first (an insert-only row per event), publishes then, and remembers how far the bus has
acknowledged, with the next stamps or as soon as there is nothing else to do. After a crash it
publishes again from there: the same events under the same numbers, which every consumer's inbox
knows. One relay per store, by lease.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka.errors import KafkaError
from sqlalchemy import Integer, Select, bindparam, case, func, select

from busbar.kernel.clock import Clock
from busbar.kernel.errors import Fenced
from busbar.kernel.ids import event_id
from busbar.messages.delivery import HeadPublished
from busbar.messages.envelope import Envelope
from busbar.runtime.core import encoding
from busbar.runtime.core.backoff import Backoff, Chance, chance
from busbar.runtime.core.bus import Publisher
from busbar.runtime.outbox.events import GENESIS, chain, envelope_of
from busbar.runtime.store import STORE_AWAY, Claim, Store, StoredEvent, Transaction
from busbar.runtime.store.model.commit_result import CommitResult
from busbar.runtime.store.schema import tables
from busbar.runtime.store.sql.compiled import CompiledStatement
from busbar.runtime.store.store import RELAY
from busbar.runtime.telemetry.logs import get_logger
from busbar.runtime.telemetry.meters import RelayMeter

log = get_logger()

BATCH = 500
BACKOFF = Backoff(first=0.5, longest=5.0)
ALWAYS_DUE = datetime(1970, 1, 1, tzinfo=UTC)
"""When publishing is due: a clock that was set back must not keep it waiting."""

BATCH_CHARS = 8_000_000
"""How much is held at once; dead letters may have megabytes each."""

SMALL_CHARS = BATCH_CHARS // BATCH
"""A whole batch of events of this length may be held at once, so nobody has to count first."""

LINGER_SECONDS = 0.01
"""How long to gather after a small batch. A transaction a batch is dear, and whoever saves the
processor's time there has what comes next done sooner: half as long makes an intent wait longer."""

IDLE_SECONDS = 1.0
SETTLE_SECONDS = 0.005
"""How soon to look again for what is committed, but behind a transaction that still runs."""

HEAD_INTERVAL_SECONDS = 0.25
"""A head tells how far everything before it has come, so there is no need of one per event."""


_Stamp = tuple[int, int, str]
"""Position, sequence and digest of an event."""
_Stamped = tuple[StoredEvent, Envelope, int, str]
"""An event, as it is published, its sequence and its digest."""


class Relay:
    """Publishes the events of one store."""

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        *,
        clock: Clock,
        holder: str,
        lease: float,
        chance: Chance = chance,
    ) -> None:
        """Publish ``store``'s events to ``publisher``, holding a lease of ``lease`` seconds.

        A bus that does not answer is tried again; waits differ by ``chance``.
        """
        self._store = store
        self._publisher = publisher
        self._clock = clock
        self._holder = holder
        self._lease = timedelta(seconds=lease)
        self._backoff = replace(BACKOFF, chance=chance)
        self._meter = RelayMeter(store.service, clock)
        self._claim: Claim | None = None
        self._extend_at = clock.now()
        self._stamped: _Stamp | None = None
        self._looked = 0
        """The position up to which everything is stamped or stays private."""
        self._published = 0
        """The sequence up to which the bus has acknowledged."""
        self._marked = 0
        """The same, as far as the store knows it."""
        self._head = 0
        self._next_head = clock.now()
        self._small: CompiledStatement | None = None
        self._wake = asyncio.Event()
        self._told = False
        """Whether something was committed here since it last looked."""
        self._not_yet_visible = False
        self._is_scheduled = False
        self.healthy = False
        """Whether the last attempt to publish went through."""
        store.on_commit(self._on_commit)

    async def run(self) -> None:
        """Publish until cancelled."""
        failures = 0
        while True:
            self._wake.clear()
            try:
                while count := await self.step():
                    self.healthy, failures = True, 0
                    if count < BATCH // 4:
                        await self._clock.sleep(LINGER_SECONDS)
                self.healthy, failures = True, 0
            except (KafkaError, *STORE_AWAY) as error:
                self.healthy = False
                self._stamped = None  # perhaps more is stamped than we were told
                failures += 1
                self._meter.failed()
                wait = self._backoff.after(failures)
                log.warning("publish_failed", error=type(error).__name__, again_in=round(wait, 3))
                await self._clock.sleep(wait)
                continue
            except Fenced:
                self._claim = None
            await self._idle()

    async def step(self) -> int:
        """Stamp and publish one batch; how many events there were."""
        if self._claim is None and not await self._take():
            self._not_yet_visible = False
            return 0
        pending = await self._next()
        if pending:
            records = [
                encoding.write(str(event.topic), envelope) for event, envelope, _, _ in pending
            ]
            await self._publisher.publish(records)
            self._published = pending[-1][2]
            self._meter.published([event.recorded_time for event, _, _, _ in pending])
        elif not await self._acknowledge() and self._is_due(self._extend_at, self._lease / 2):
            await self._store.transact(_nothing, fence=self._held())
            self._extend_at = self._clock.now() + self._lease / 2
        if len(pending) < BATCH:
            await self._publish_head()
        return len(pending)

    @property
    def leads(self) -> bool:
        """Whether it holds the lease, as far as it knows."""
        return self._claim is not None

    # -- the lease ------------------------------------------------------------------------------

    async def _take(self) -> bool:
        async def take(tx: Transaction) -> list[Claim]:
            if not self._is_scheduled:
                await tx.tasks.schedule(RELAY, self._store.service, due=ALWAYS_DUE)
            return list(
                await tx.tasks.claim(RELAY, holder=self._holder, lease=self._lease, limit=1)
            )

        claims = await self._store.transact(take)
        self._is_scheduled = True
        if not claims:
            return False
        self._claim = claims[0]
        self._extend_at = self._clock.now() + self._lease / 2
        self._stamped = None
        async with self._store.reading() as tx:
            mark = await tx.execute(
                select(tables.checkpoints.c.value).where(tables.checkpoints.c.name == "published")
            )
            self._published = self._marked = mark.scalar() or 0
        return True

    def _held(self) -> Claim:
        if self._claim is None:
            raise Fenced("the relay's lease is not held")
        return self._claim

    # -- stamping and publishing ----------------------------------------------------------------

    async def _next(self) -> list[_Stamped]:
        """What is to be published next; what was stamped before goes before what is new."""
        if (await self._last())[1] > self._published:
            await self._acknowledge()
            return await self._unpublished()
        # A commit of our own has told what a look would find, unless another one is in its way.
        stamped = await self._stamp() if self._told else []
        if not stamped and await self._news():
            stamped = await self._stamp()
        return stamped

    async def _news(self) -> bool:
        """Whether there is something to stamp; notes whether there will be in a moment.

        Both in one view: what is settled between two looks would be seen by neither.
        """
        async with self._store.reading() as tx:
            await self._place(tx)
            news, self._not_yet_visible = await tx.has_new_events(after=self._looked)
            if not news:
                # What stays private is not looked at again: audit has nothing else.
                self._looked = await tx.newest() or self._looked
            return news

    async def _place(self, tx: Transaction) -> _Stamp:
        """What was stamped last; nobody else stamps while the lease is ours."""
        if self._stamped is None:
            self._stamped = await _last(tx)
            self._looked = self._stamped[0]
        return self._stamped

    async def _last(self) -> _Stamp:
        """The same, outside of a transaction."""
        if self._stamped is not None:
            return self._stamped
        async with self._store.reading() as tx:
            return await self._place(tx)

    async def _stamp(self) -> list[_Stamped]:
        """Give numbers to a batch, and note what the bus has acknowledged of those before."""
        stamped = await self._store.transact(self._number)
        self._marked = self._published
        if stamped:
            event, _, sequence, digest = stamped[-1]
            self._stamped = (event.position, sequence, digest)
            self._looked = event.position
        return stamped

    async def _number(self, tx: Transaction) -> list[_Stamped]:
        await tx.tasks.hold(self._held())
        _, sequence, digest = await self._place(tx)
        self._told = False
        stamped: list[_Stamped] = []
        for event in await self._batch(tx):
            sequence += 1
            envelope = envelope_of(event, relay=self._store.service, sequence=sequence)
            digest = chain(digest, envelope.source, envelope.id, envelope.type, envelope.data)
            stamped.append((event, envelope, sequence, digest))
        if stamped:
            await tx.assign_sequences(
                [(number, event.position, link) for event, _, number, link in stamped]
            )
        if self._marked < self._published:
            await self._mark(tx)
        return stamped

    async def _batch(self, tx: Transaction) -> list[StoredEvent]:
        """The first events that are not stamped, as many as may be held at once."""
        if self._small is None:
            self._small = CompiledStatement(_with_small(_to_publish(tx, after=None)))
        rows = await tx.rows(self._small, after=self._looked, small=SMALL_CHARS, most=BATCH)
        events = [StoredEvent._make(row) for row in rows]
        if all(event.data is not None for event in events):
            return events
        news = _to_publish(tx, after=self._looked)
        found = await tx.execute(news.limit(await _fitting(tx, news)))
        return [StoredEvent._make(row) for row in found]

    async def _unpublished(self) -> list[_Stamped]:
        async with self._store.reading() as tx:
            owed = (
                select(tables.events, tables.sequences.c.sequence, tables.sequences.c.digest)
                .join(tables.sequences, tables.sequences.c.position == tables.events.c.position)
                .where(tables.sequences.c.sequence > self._published)
                .order_by(tables.sequences.c.sequence)
            )
            count = await _fitting(tx, owed)
            if not count:
                return []
            rows = await tx.execute(owed.limit(count))
            found: list[_Stamped] = []
            for row in rows:
                *columns, number, link = row
                event = StoredEvent._make(columns)
                envelope = envelope_of(event, relay=self._store.service, sequence=number)
                found.append((event, envelope, number, link))
            return found

    async def _acknowledge(self) -> bool:
        """Remember how far the bus has acknowledged; whether there was anything to remember."""
        if self._marked == self._published:
            return False
        await self._store.transact(self._mark, fence=self._held())
        self._marked = self._published
        return True

    async def _mark(self, tx: Transaction) -> None:
        await tx.checkpoint("published", self._published)

    async def _publish_head(self) -> None:
        """Tell how far it is, if that is news and the last time is a while ago."""
        every = timedelta(seconds=HEAD_INTERVAL_SECONDS)
        if self._published == self._head or not self._is_due(self._next_head, every):
            return
        _, sequence, digest = await self._last()
        if sequence != self._published:
            return  # there is more to publish; its head follows
        service = self._store.service
        head = HeadPublished(relay=service, sequence=sequence, count=sequence, digest=digest)
        source = f"/busbar/{service}"
        envelope = Envelope(
            id=event_id(service, source, "head", sequence),
            source=source,
            type=head.TYPE,
            subject=service,
            time=self._clock.now(),
            data=head.model_dump(),
            body=head.model_dump_json().encode(),
            key=service,
        )
        await self._publisher.publish([encoding.write(head.TOPIC, envelope)])
        self._head = sequence
        self._next_head = self._clock.now() + every

    def _is_due(self, moment: datetime, after: timedelta) -> bool:
        """Whether ``moment`` has come, which was to be ``after`` from some time ago.

        It is further away than that if the clock was set back: then nobody knows, and it is due.
        """
        return not timedelta() < moment - self._clock.now() <= after

    # -- waking up ------------------------------------------------------------------------------

    def _on_commit(self, written: CommitResult) -> None:
        if written.published:
            self._told = True
            self._wake.set()

    async def _idle(self) -> None:
        # Not wait_for(): before Python 3.12 it can swallow a cancellation.
        with suppress(TimeoutError):
            owing = self._published > self._head
            wait = HEAD_INTERVAL_SECONDS if owing else IDLE_SECONDS
            async with asyncio.timeout(SETTLE_SECONDS if self._not_yet_visible else wait):
                await self._wake.wait()


async def _nothing(_tx: Transaction) -> None:
    """Only the fence matters."""


def _to_publish(tx: Transaction, *, after: int | None) -> Select[Any]:
    return tx.new_events(after=after).where(tables.events.c.topic.is_not(None))


def _with_small(news: Select[Any]) -> Select[Any]:
    """``news`` without the data of events that have more of it than the value ``small`` says."""
    length = func.length(tables.events.c.data)
    data = case((length <= bindparam("small", type_=Integer), tables.events.c.data)).label("data")
    columns = [data if column is tables.events.c.data else column for column in tables.events.c]
    return news.with_only_columns(*columns).limit(bindparam("most", type_=Integer))


async def _fitting(tx: Transaction, found: Select[Any]) -> int:
    """How many of the events that ``found`` begins with may be held at once; one always may."""
    lengths = found.with_only_columns(func.length(tables.events.c.data)).limit(BATCH)
    count = total = 0
    for length in (await tx.execute(lengths)).scalars():
        total += length
        if count and total > BATCH_CHARS:
            break
        count += 1
    return count


async def backlog(tx: Transaction, *, most: int) -> int:
    """How many events are recorded and not known to be published; ``most`` are counted."""
    position, sequence, _ = await _last(tx)
    mark = await tx.execute(
        select(tables.checkpoints.c.value).where(tables.checkpoints.c.name == "published")
    )
    news = _to_publish(tx, after=position).with_only_columns(tables.events.c.position)
    some = news.order_by(None).limit(most).subquery()
    unstamped: int = (await tx.execute(select(func.count()).select_from(some))).scalar() or 0
    unacknowledged: int = sequence - (mark.scalar() or 0)
    return min(most, unstamped + unacknowledged)


async def _last(tx: Transaction) -> _Stamp:
    """Position, sequence and digest of the event that was stamped last."""
    found = await tx.execute(
        select(tables.sequences).order_by(tables.sequences.c.sequence.desc()).limit(1)
    )
    row = found.first()
    return (0, 0, GENESIS) if row is None else (row.position, row.sequence, row.digest)
