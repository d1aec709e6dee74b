"""How deliveries go, in numbers."""

from busbar.kernel.clock import parse_time
from busbar.notifier.domain import Attempt
from busbar.runtime import metrics
from busbar.runtime.meters import seconds_between
from busbar.runtime.store import Transaction


def measure_attempt(outcome: Attempt, seconds: float) -> None:
    """Count one attempt, which took ``seconds``."""
    metrics.WEBHOOKS.labels(_named(outcome)).inc()
    metrics.WEBHOOK_SECONDS.observe(seconds)


def measure_delivery(tx: Transaction, told: str | None) -> None:
    """Count the time since the fact was ``told``; deliveries of earlier releases do not say."""
    if told is not None:
        tx.measure(metrics.DELIVERY_SECONDS.observe, seconds_between(parse_time(told), tx.now))


def _named(outcome: Attempt) -> str:
    """The outcome in few words: a receiver may answer with any number."""
    return outcome.error or f"{(outcome.status or 0) // 100}xx"
