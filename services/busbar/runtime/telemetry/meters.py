"""What the parts of a service count about themselves, so that they need a line each to do it.

Times are taken from the clock that a part goes by, and never from another one.
"""

from asyncio import CancelledError
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from busbar.kernel.clock import Clock, parse_time
from busbar.runtime.core.bus import Record
from busbar.runtime.telemetry import metrics


def seconds_between(earlier: datetime, later: datetime) -> float:
    """How long it was; nothing if the clock was set back meanwhile."""
    return max(0.0, (later - earlier).total_seconds())


class ConsumerMeter:
    """Counts for one consumer, and knows how old the oldest record is that it has not settled."""

    def __init__(self, service: str, clock: Clock) -> None:
        """Count for ``service``."""
        self._clock = clock
        self._records = {
            outcome: metrics.CONSUMER_RECORDS.labels(service, outcome)
            for outcome in metrics.RECORD_OUTCOMES
        }
        self._retries = {
            reason: metrics.CONSUMER_RETRIES.labels(service, reason)
            for reason in metrics.RETRY_REASONS
        }
        self._batches = metrics.CONSUMER_BATCH_SECONDS.labels(service)
        self._in_hand: Sequence[Record] = ()
        self._level = clock.now().timestamp()
        """Until when it is known that nothing waited."""

    @contextmanager
    def batch(self, records: Sequence[Record]) -> Iterator[None]:
        """``records`` are in hand during the block."""
        begin = self._clock.now()
        self._in_hand = records
        yield
        self._in_hand = ()
        self._level = max(self._level, _newest(records))
        self._batches.observe(seconds_between(begin, self._clock.now()))

    def settled(self, outcomes: Mapping[str, int]) -> None:
        """So many records were settled, by outcome; they are committed."""
        for outcome, count in outcomes.items():
            self._records[outcome].inc(count)

    def retried(self, reason: str) -> None:
        """Something has to be tried again."""
        self._retries[reason].inc()

    def lag(self, waiting: int) -> tuple[float, int]:
        """Lag in seconds and in records, while ``waiting`` of them are on the broker still.

        A record's own time is known once it is delivered. Until then it is taken to be as old as
        it can be: as the newest that is settled, or as the last look that found nothing waiting.
        It takes a look every few seconds, or the first record after a quiet day would seem to
        have waited for all of it.
        """
        now, in_hand = self._clock.now().timestamp(), self._in_hand
        if in_hand:
            oldest = min(record.timestamp for record in in_hand) / 1000
        elif waiting:
            oldest = self._level
        else:
            self._level = oldest = now
        return max(0.0, now - oldest), waiting + len(in_hand)


def _newest(records: Sequence[Record]) -> float:
    return max((record.timestamp for record in records), default=0) / 1000


class RelayMeter:
    """Counts for one relay."""

    def __init__(self, service: str, clock: Clock) -> None:
        """Count for ``service``."""
        self._clock = clock
        self._events = metrics.RELAY_EVENTS.labels(service)
        self._lag = metrics.RELAY_LAG.labels(service)
        self._failures = metrics.RELAY_FAILURES.labels(service)

    def published(self, recorded: Sequence[str]) -> None:
        """Events that were ``recorded`` at these times are acknowledged."""
        now, lags = self._clock.now(), dict[str, float]()
        self._events.inc(len(recorded))
        for time in recorded:
            # Events of one transaction have one time.
            if time not in lags:
                lags[time] = seconds_between(parse_time(time), now)
            self._lag.observe(lags[time])

    def failed(self) -> None:
        """Publishing failed."""
        self._failures.inc()


class StoreMeter:
    """Counts for one store."""

    def __init__(self, service: str, clock: Clock) -> None:
        """Count for ``service``."""
        self._clock = clock
        self._seconds = metrics.STORE_SECONDS.labels(service)
        self._events = metrics.STORE_EVENTS.labels(service)
        self._conflicts = metrics.STORE_CONFLICTS.labels(service)

    def now(self) -> datetime:
        """When a transaction begins."""
        return self._clock.now()

    def committed(self, since: datetime, events: int) -> None:
        """A transaction that began at ``since`` is committed, with so many events."""
        self._seconds.observe(seconds_between(since, self._clock.now()))
        if events:
            self._events.inc(events)

    def conflicted(self) -> None:
        """A transaction met another one."""
        self._conflicts.inc()


class Turn:
    """One turn of a task."""

    def __init__(self, begin: datetime) -> None:
        """It began at ``begin``."""
        self.begin = begin
        self.outcome = "done"


class TaskMeter:
    """Counts for the tasks of one kind."""

    def __init__(self, service: str, kind: str, clock: Clock) -> None:
        """Count for the tasks of ``kind`` in ``service``."""
        self._clock = clock
        self._running = metrics.TASKS_RUNNING.labels(service, kind)
        self._seconds = metrics.TASKS_SECONDS.labels(service, kind)
        self._outcomes = {
            outcome: metrics.TASKS_OUTCOMES.labels(service, kind, outcome)
            for outcome in metrics.TASK_OUTCOMES
        }

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """A task is worked on during the block, which says how it went."""
        turn = Turn(self._clock.now())
        self._running.inc()
        try:
            yield turn
        except CancelledError:
            turn.outcome = "fenced"  # its lease was lost, or the process stops
            raise
        finally:
            self._running.dec()
            self._outcomes[turn.outcome].inc()
            self._seconds.observe(seconds_between(turn.begin, self._clock.now()))
