"""The thread of ``busbar up`` that keeps its notice current, its broker running, and reports."""

import threading
from collections.abc import Callable, Mapping
from time import monotonic

from busbar.cli.local.backoff import RestartBackoff
from busbar.cli.local.health import HealthReport
from busbar.cli.local.kafka import Broker
from busbar.cli.local.ready import Readiness
from busbar.kernel.errors import BusbarError

HEALTH_SECONDS = 2.0
"""Interval between two looks at the readiness of the processes."""

_INTERVAL_SECONDS = 0.5
_LONGEST_BROKER_DELAY_SECONDS = 3.0
"""A broker that cannot start, as on a full disk, is tried again soon after there is space."""


class Monitor:
    """Watches a platform until ``stopping`` is set.

    Nothing else ends it: what fails is reported once and tried again.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        stopping: threading.Event,
        update_state: Callable[[], None],
        readiness: Callable[[], Mapping[str, Readiness]],
        report: Callable[[str], None],
    ) -> None:
        """Watch ``broker``, if it is a process of this machine.

        ``update_state`` writes the notice about the platform; ``readiness`` returns that of each
        process; ``report`` gets a sentence for every event.
        """
        self._broker = broker
        self._owned = broker.pid is not None
        self._backoff = RestartBackoff()
        self._broker_since = monotonic()
        self._stopping = stopping
        self._update_state = update_state
        self._readiness = readiness
        self._report = report
        self._health = HealthReport()
        self._look_at = monotonic() + HEALTH_SECONDS

    def run(self) -> None:
        """Watch until the platform is stopped."""
        said = ""
        while not self._stopping.wait(_INTERVAL_SECONDS):
            problem = ""
            for step in (self._restart_broker, self._update_state, self._look):
                try:
                    step()
                except Exception as error:  # noqa: BLE001 - whatever it is, the platform goes on
                    problem = f"the platform cannot be watched completely: {error}; trying again"
            if problem and problem != said:
                self._report(problem)
            said = problem

    def _restart_broker(self) -> None:
        """Start the broker again if it was ours and has ended."""
        if not self._owned or self._broker.pid is not None:
            return
        self._backoff = self._backoff.after_exit(monotonic() - self._broker_since)
        self._report("Kafka ended; restarting it")
        if self._stopping.wait(min(self._backoff.delay, _LONGEST_BROKER_DELAY_SECONDS)):
            return
        self._broker_since = monotonic()
        try:
            self._broker.start()
        except BusbarError as error:
            self._report(f"Kafka cannot be restarted: {error}")

    def _look(self) -> None:
        if monotonic() < self._look_at:
            return
        self._look_at = monotonic() + HEALTH_SECONDS
        for sentence in self._health.changes(self._readiness()):
            self._report(sentence)
