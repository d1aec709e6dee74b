"""How deliveries go: in numbers, and as spans."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from busbar.kernel.clock import Clock, parse_time
from busbar.notifier.domain import Attempt
from busbar.runtime.store import Transaction
from busbar.runtime.telemetry import metrics, tracing
from busbar.runtime.telemetry.meters import seconds_between


@dataclass(slots=True)
class Trying:
    """One attempt. ``traceparent`` is what the receiver gets, and what is told of it carries."""

    traceparent: str | None
    outcome: Attempt | None = None


@contextmanager
def attempting(parent: str | None, number: int, *, clock: Clock) -> Iterator[Trying]:
    """The block makes the ``number``-th attempt, below the span of the fact, ``parent``.

    Without tracing the receiver gets the fact's own context. The address is not told: it may hold
    what only its owner should know.
    """
    begin = clock.now()
    about: tracing.Attributes = {"http.request.method": "POST", "busbar.attempt": number}
    with tracing.span("POST webhook", parent=parent, kind="client", attributes=about) as here:
        trying = Trying(here.traceparent or parent)
        yield trying
        if trying.outcome is None:
            return
        named = _named(trying.outcome)
        metrics.WEBHOOKS.labels(named).inc()
        metrics.WEBHOOK_SECONDS.observe(seconds_between(begin, clock.now()))
        status = trying.outcome.status
        here.set_attributes(
            {"http.response.status_code": status} if status is not None else {},
            failed=None if named == "2xx" else trying.outcome.error or str(status),
        )


def measure_delivery(tx: Transaction, told: str | None) -> None:
    """Count the time since the fact was ``told``; deliveries of earlier releases do not say."""
    if told is not None:
        tx.measure(metrics.DELIVERY_SECONDS.observe, seconds_between(parse_time(told), tx.now))


def _named(outcome: Attempt) -> str:
    """The outcome in few words: a receiver may answer with any number."""
    return outcome.error or f"{(outcome.status or 0) // 100}xx"
