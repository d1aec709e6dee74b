"""Metrics and spans of the notifier."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from busbar.kernel.clock import Clock, parse_time
from busbar.notifier.domain import Attempt
from busbar.runtime.store import Transaction
from busbar.runtime.telemetry import tracing
from busbar.runtime.telemetry.meters import seconds_between
from busbar.runtime.telemetry.metrics import LONG, counter, histogram

ATTEMPTS: Final = counter(
    "busbar_notifier_attempts_total",
    "Webhook attempts, by outcome: the class of the status, as `2xx`, or the reason for none: "
    "`timeout`, `dns`, `connection_refused`, `unreachable`, `tls`, `connection_lost`, "
    "`bad_response`, `refused_url`, `refused_address`, `no_secret`.",
    "outcome",
)
ATTEMPT_SECONDS: Final = histogram(
    "busbar_notifier_attempt_seconds", "Duration of one webhook attempt.", buckets=LONG
)
DELIVERY_SECONDS: Final = histogram(
    "busbar_notifier_delivery_seconds",
    "Time from the recording of a fact to its delivery to a subscriber.",
    buckets=LONG,
)


@dataclass(slots=True)
class ObservedAttempt:
    """One attempt under observation; ``traceparent`` goes to the receiver and into the fact."""

    traceparent: str | None
    outcome: Attempt | None = None
    seconds: float = 0.0
    """Its duration, known after the block."""


@contextmanager
def observe_attempt(parent: str | None, number: int, *, clock: Clock) -> Iterator[ObservedAttempt]:
    """Count, time and trace the ``number``-th attempt, made in the block.

    Its span is a child of the fact's span, ``parent``. Without tracing the receiver gets
    ``parent`` itself. The URL is not recorded: it may hold a secret of the subscriber.
    """
    begin = clock.now()
    attributes: tracing.Attributes = {"http.request.method": "POST", "busbar.attempt": number}
    with tracing.span("POST webhook", parent=parent, kind="client", attributes=attributes) as span:
        observed = ObservedAttempt(span.traceparent or parent)
        yield observed
        observed.seconds = seconds_between(begin, clock.now())
        if observed.outcome is None:
            return
        outcome = _bounded(observed.outcome)
        ATTEMPTS.labels(outcome).inc()
        ATTEMPT_SECONDS.observe(observed.seconds)
        status = observed.outcome.status
        span.set_attributes(
            {"http.response.status_code": status} if status is not None else {},
            failed=None if outcome == "2xx" else observed.outcome.error or str(status),
        )


def measure_delivery(tx: Transaction, recorded: str | None) -> None:
    """Observe the time since the fact was ``recorded``; None if the delivery does not state it."""
    if recorded is not None:
        tx.measure(DELIVERY_SECONDS.observe, seconds_between(parse_time(recorded), tx.now))


def _bounded(outcome: Attempt) -> str:
    """Return a label with few values: a receiver may answer with any number."""
    return outcome.error or f"{(outcome.status or 0) // 100}xx"
