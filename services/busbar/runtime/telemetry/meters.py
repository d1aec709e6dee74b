"""Meters that let each part of a service record its metrics with one line per event.

A meter takes times from the clock of its part, never from another clock.
"""

from asyncio import CancelledError
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from busbar.kernel.clock import Clock, parse_time
from busbar.runtime.core.bus import Record
from busbar.runtime.telemetry import metrics


def seconds_between(earlier: datetime, later: datetime) -> float:
    """Return the seconds between two times; 0 if the clock was set back in between."""
    return max(0.0, (later - earlier).total_seconds())


class ConsumerMeter:
    """Records the metrics of one consumer, and computes its lag."""

    def __init__(self, service: str, clock: Clock) -> None:
        """Record for ``service``."""
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
        """Time up to which it is known that no record was waiting, in seconds since 1970."""

    @contextmanager
    def batch(self, records: Sequence[Record]) -> Iterator[None]:
        """Measure the block, which handles ``records``."""
        begin = self._clock.now()
        self._in_hand = records
        yield
        self._in_hand = ()
        self._level = max(self._level, _newest(records))
        self._batches.observe(seconds_between(begin, self._clock.now()))

    def settled(self, outcomes: Mapping[str, int]) -> None:
        """Count settled and committed records by outcome."""
        for outcome, count in outcomes.items():
            self._records[outcome].inc(count)

    def retried(self, reason: str) -> None:
        """Count a retry."""
        self._retries[reason].inc()

    def lag(self, waiting: int) -> tuple[float, int]:
        """Return the lag in seconds and in records, with ``waiting`` records on the broker.

        The timestamp of a record is only known once it is delivered. Until then its greatest
        possible age is assumed: since the newest settled record, or since the last call that found
        none waiting. So this has to be called every few seconds: else the first record after a
        quiet day would seem to have waited all day.
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
    """Records the metrics of one relay."""

    def __init__(self, service: str, clock: Clock) -> None:
        """Record for ``service``."""
        self._clock = clock
        self._events = metrics.RELAY_EVENTS.labels(service)
        self._lag = metrics.RELAY_LAG.labels(service)
        self._failures = metrics.RELAY_FAILURES.labels(service)

    def published(self, recorded: Sequence[str]) -> None:
        """Count acknowledged events, which were ``recorded`` at these times."""
        now, lags = self._clock.now(), dict[str, float]()
        self._events.inc(len(recorded))
        for time in recorded:
            # Events of one transaction share their time.
            if time not in lags:
                lags[time] = seconds_between(parse_time(time), now)
            self._lag.observe(lags[time])

    def failed(self) -> None:
        """Count a failed attempt to publish."""
        self._failures.inc()


class StoreMeter:
    """Records the metrics of one store."""

    def __init__(self, service: str, clock: Clock) -> None:
        """Record for ``service``."""
        self._clock = clock
        self._seconds = metrics.STORE_SECONDS.labels(service)
        self._events = metrics.STORE_EVENTS.labels(service)
        self._conflicts = metrics.STORE_CONFLICTS.labels(service)

    def now(self) -> datetime:
        """Return the start time of a transaction."""
        return self._clock.now()

    def committed(self, since: datetime, events: int) -> None:
        """Record a committed transaction that started at ``since`` and appended ``events``."""
        self._seconds.observe(seconds_between(since, self._clock.now()))
        if events:
            self._events.inc(events)

    def conflicted(self) -> None:
        """Count a transaction that conflicted with another writer."""
        self._conflicts.inc()


class Turn:
    """One run of a task's worker; its outcome may be changed."""

    def __init__(self, begin: datetime) -> None:
        self.begin = begin
        self.outcome = "done"


class TaskMeter:
    """Records the metrics of tasks of one kind."""

    def __init__(self, service: str, kind: str, clock: Clock) -> None:
        """Record for the tasks of ``kind`` in ``service``."""
        self._clock = clock
        self._running = metrics.TASKS_RUNNING.labels(service, kind)
        self._seconds = metrics.TASKS_SECONDS.labels(service, kind)
        self._outcomes = {
            outcome: metrics.TASKS_OUTCOMES.labels(service, kind, outcome)
            for outcome in metrics.TASK_OUTCOMES
        }

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """Measure the block, which works on a task and sets the outcome of the turn."""
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
