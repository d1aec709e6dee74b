"""The relay publishes a store's events in commit order under a gapless sequence.

It assigns sequences first (one insert-only row per event), publishes, and then records how far the
bus has acknowledged: together with the next sequences, or as soon as it is idle. After a crash it
publishes again from there, the same events under the same sequences, which every consumer's inbox
recognises. A lease makes sure that a store has one relay.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from busbar.kernel.clock import Clock
from busbar.kernel.errors import Fenced
from busbar.kernel.ids import event_id
from busbar.messages import topics
from busbar.messages.delivery import HeadPublished
from busbar.messages.envelope import Envelope
from busbar.messages.signing import SigningKey, sign
from busbar.runtime.core import encoding
from busbar.runtime.core.backoff import UNREACHABLE, Jitter, jitter
from busbar.runtime.core.bus import BusUnavailable, Outgoing, Publisher
from busbar.runtime.core.waiting import wait_for_event
from busbar.runtime.outbox.events import GENESIS, SERVICE, chain, envelope_of
from busbar.runtime.store import Claim, Store, StoredEvent, StoreTransaction, StoreUnavailable
from busbar.runtime.store.model.commit_result import CommitResult
from busbar.runtime.store.parts.outbox import Assigned, BatchLimits
from busbar.runtime.store.store import RELAY
from busbar.runtime.telemetry.logs import get_logger
from busbar.runtime.telemetry.meters import RelayMeter

log = get_logger()

SIGNED = frozenset({*topics.INTENTS, topics.FACTS_HEAD})
"""The topics whose records are signed one by one."""

ALWAYS_DUE = datetime(1970, 1, 1, tzinfo=UTC)
"""Due time of the relay's task: a clock that is set back must not delay publishing."""

_NOTHING = Assigned(sequence=0, position=0, digest=GENESIS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayTiming:
    """Waits of a relay, in seconds."""

    linger: float = 0.01
    """Wait for more events after a small batch. One transaction per batch is expensive, and the
    processor time that it saves makes the following steps sooner: half of it is slower."""

    idle: float = 1.0
    """Longest wait for a commit of another process."""

    settle: float = 0.005
    """Wait for an event that is committed but hidden by an older transaction that still runs."""

    head_interval: float = 0.25
    """Least time between two heads; a head covers everything before it."""


@dataclass(frozen=True, slots=True)
class _Pending:
    """An event with the envelope, sequence and digest under which it is published."""

    event: StoredEvent
    envelope: Envelope
    sequence: int
    digest: str


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
        timing: RelayTiming | None = None,
        limits: BatchLimits | None = None,
        jitter: Jitter = jitter,
        signing_key: SigningKey | None = None,
    ) -> None:
        """Publish the events of ``store`` to ``publisher``, holding a lease of ``lease`` seconds.

        An unreachable bus is retried; ``jitter`` adds jitter to the waits. Intents and heads are
        signed with ``signing_key``, if there is one; heads cover all other events by their digest.
        """
        self._store = store
        self._publisher = publisher
        self._clock = clock
        self._signing_key = signing_key
        self._holder = holder
        self._lease = timedelta(seconds=lease)
        self._timing = timing or RelayTiming()
        self._limits = limits or BatchLimits()
        self._backoff = replace(UNREACHABLE, jitter=jitter)
        self._meter = RelayMeter(store.service, clock)
        self._claim: Claim | None = None
        self._extend_at = clock.now()
        self._last: Assigned | None = None
        """The newest sequence, if known; the lease keeps others from assigning one."""
        self._scanned = 0
        """Position up to which every event has its sequence or stays private."""
        self._published = 0
        """Sequence up to which the bus has acknowledged."""
        self._acknowledged = 0
        """The same, as recorded in the store."""
        self._head = 0
        self._next_head = clock.now()
        self._wake = asyncio.Event()
        self._has_commits = False
        """Whether this process committed events since the last scan."""
        self._hidden = False
        """Whether committed events become visible soon."""
        self._is_scheduled = False
        self.healthy = False
        """Whether the last attempt to publish succeeded."""
        store.on_commit(self._on_commit)
        store.on_unknown(self._on_unknown)

    async def run(self) -> None:
        """Publish until cancelled."""
        failures = 0
        while True:
            self._wake.clear()
            try:
                while count := await self.step():
                    self.healthy, failures = True, 0
                    if count < self._limits.events // 4:
                        await self._clock.sleep(self._timing.linger)
                self.healthy, failures = True, 0
            except (BusUnavailable, StoreUnavailable) as error:
                self.healthy = False
                self._last = None  # the failed transaction may have committed
                failures += 1
                self._meter.failed()
                wait = self._backoff.after(failures)
                if failures == 1:
                    log.warning("publish_failed", error=str(error))
                await self._clock.sleep(wait)
                continue
            except Fenced:
                self._claim = None
            await self._idle()

    async def step(self) -> int:
        """Assign and publish one batch; return the number of its events."""
        if self._claim is None and not await self._take():
            self._hidden = False
            return 0
        pending = await self._next()
        if pending:
            records = [self._record(str(one.event.topic), one.envelope) for one in pending]
            await self._publisher.publish(records)
            self._published = pending[-1].sequence
            self._meter.published([one.event.recorded_time for one in pending])
        elif not await self._acknowledge() and self._is_due(self._extend_at, self._lease / 2):
            await self._store.transact(_nothing, fence=self._held())
            self._extend_at = self._clock.now() + self._lease / 2
        if len(pending) < self._limits.events:
            await self._publish_head()
        return len(pending)

    @property
    def leads(self) -> bool:
        """True if this relay held the lease when it last looked."""
        return self._claim is not None

    # -- the lease ------------------------------------------------------------------------------

    async def _take(self) -> bool:
        async def take(tx: StoreTransaction) -> list[Claim]:
            if not self._is_scheduled:
                await tx.tasks.schedule(RELAY, self._store.service, due=ALWAYS_DUE)
            return list(
                await tx.tasks.claim(
                    RELAY, holder=self._holder, lease=self._lease, limit=1, own=True
                )
            )

        claims = await self._store.transact(take)
        self._is_scheduled = True
        if not claims:
            return False
        self._claim = claims[0]
        self._extend_at = self._clock.now() + self._lease / 2
        self._last = None
        async with self._store.reading() as tx:
            self._published = self._acknowledged = await tx.outbox.acknowledged()
        return True

    def _held(self) -> Claim:
        if self._claim is None:
            raise Fenced("the relay's lease is not held")
        return self._claim

    # -- assigning and publishing ---------------------------------------------------------------

    async def _next(self) -> list[_Pending]:
        """Return the next batch: events that already have a sequence go before new ones."""
        if (await self._newest()).sequence > self._published:
            await self._acknowledge()
            return await self._owed()
        # A commit of this process already says that there are events, so no query has to.
        assigned = await self._assign() if self._has_commits else []
        if not assigned and await self._has_new_events():
            assigned = await self._assign()
        return assigned

    async def _has_new_events(self) -> bool:
        """Return whether there are events to publish; note whether some become visible soon."""
        async with self._store.reading() as tx:
            await self._load_last(tx)
            new, self._hidden = await tx.outbox.has_new_events(after=self._scanned)
            if not new:
                # Private events are not scanned again: audit has nothing but private ones.
                self._scanned = await tx.log.newest() or self._scanned
            return new

    async def _load_last(self, tx: StoreTransaction) -> Assigned:
        """Return the newest sequence, read in ``tx`` if it is not known."""
        if self._last is None:
            self._last = await tx.outbox.last_assigned() or _NOTHING
            self._scanned = self._last.position
        return self._last

    async def _newest(self) -> Assigned:
        """Return the newest sequence, read in a transaction of its own if it is not known."""
        if self._last is not None:
            return self._last
        async with self._store.reading() as tx:
            return await self._load_last(tx)

    async def _assign(self) -> list[_Pending]:
        """Assign sequences to a batch, and record what the bus acknowledged before it."""
        assigned = await self._store.transact(self._assign_in)
        self._acknowledged = self._published
        if assigned:
            last = assigned[-1]
            self._last = Assigned(last.sequence, last.event.position, last.digest)
            self._scanned = last.event.position
        return assigned

    async def _assign_in(self, tx: StoreTransaction) -> list[_Pending]:
        await tx.tasks.hold(self._held())
        sequence, _, digest = await self._load_last(tx)
        self._has_commits = False
        assigned: list[_Pending] = []
        for event in await tx.outbox.unassigned(after=self._scanned, limits=self._limits):
            sequence += 1
            envelope = envelope_of(event, relay=self._store.service, sequence=sequence)
            digest = chain(digest, envelope.source, envelope.id, envelope.type, envelope.data)
            assigned.append(_Pending(event, envelope, sequence, digest))
        if assigned:
            await tx.outbox.assign(
                [Assigned(one.sequence, one.event.position, one.digest) for one in assigned]
            )
        if self._acknowledged < self._published:
            await tx.outbox.acknowledge(self._published)
        return assigned

    async def _owed(self) -> list[_Pending]:
        """Return events whose sequence was assigned and which the bus has not acknowledged."""
        async with self._store.reading() as tx:
            owed = await tx.outbox.owed(after=self._published, limits=self._limits)
        relay = self._store.service
        return [
            _Pending(event, envelope_of(event, relay=relay, sequence=number), number, digest)
            for event, number, digest in owed
        ]

    async def _acknowledge(self) -> bool:
        """Record how far the bus has acknowledged; return whether there was anything to record."""
        if self._acknowledged == self._published:
            return False

        async def acknowledge(tx: StoreTransaction) -> None:
            await tx.outbox.acknowledge(self._published)

        await self._store.transact(acknowledge, fence=self._held())
        self._acknowledged = self._published
        return True

    async def _publish_head(self) -> None:
        """Publish a head, if there is progress and the last head is old enough."""
        every = timedelta(seconds=self._timing.head_interval)
        if self._published == self._head or not self._is_due(self._next_head, every):
            return
        sequence, _, digest = await self._newest()
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
            extensions={**SERVICE, "authid": service},
            data=head.model_dump(),
            body=head.model_dump_json().encode(),
            key=service,
        )
        await self._publisher.publish([self._record(head.TOPIC, envelope)])
        self._head = sequence
        self._next_head = self._clock.now() + every

    def _record(self, topic: str, envelope: Envelope) -> Outgoing:
        record = encoding.write(topic, envelope)
        if self._signing_key is None or topic not in SIGNED:
            return record
        signature = sign(
            self._signing_key,
            topic=topic,
            record_key=record.key,
            headers=record.headers,
            value=record.value,
        )
        return record._replace(headers=[*record.headers, signature])

    def _is_due(self, at: datetime, interval: timedelta) -> bool:
        """Return whether ``at`` has passed, which was set ``interval`` ahead of its own time.

        A time that is further ahead than that shows a clock that was set back: it counts as due.
        """
        return not timedelta() < at - self._clock.now() <= interval

    # -- waking up ------------------------------------------------------------------------------

    def _on_commit(self, written: CommitResult) -> None:
        if written.published:
            self._has_commits = True
            self._wake.set()

    def _on_unknown(self) -> None:
        self._has_commits = True
        self._wake.set()

    async def _idle(self) -> None:
        owes_head = self._published > self._head
        wait = self._timing.head_interval if owes_head else self._timing.idle
        await wait_for_event(self._wake, seconds=self._timing.settle if self._hidden else wait)


async def _nothing(_tx: StoreTransaction) -> None:
    """Do nothing: the transaction only extends the lease."""
