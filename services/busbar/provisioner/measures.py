"""How operations end, counted when that is committed."""

from collections.abc import Sequence
from typing import Final

from busbar.messages.base import Fact
from busbar.messages.resource import (
    ResourceDeleted,
    ResourceFailed,
    ResourceProvisioned,
    ResourceQueued,
    ResourceStuck,
)
from busbar.runtime.store import Transaction
from busbar.runtime.telemetry import metrics
from busbar.runtime.telemetry.meters import seconds_between

OUTCOMES: Final[dict[type[Fact], str]] = {
    ResourceProvisioned: "succeeded",
    ResourceDeleted: "succeeded",
    ResourceFailed: "failed",
    ResourceStuck: "stuck",
}


def measure_ends(tx: Transaction, facts: Sequence[Fact], queued: ResourceQueued) -> None:
    """Count those of ``facts`` that end the operation that was ``queued``."""
    for fact in facts:
        outcome = OUTCOMES.get(type(fact))
        if outcome is None:
            continue
        tx.measure(metrics.OPERATIONS.labels(outcome).inc, 1)
        if outcome != "stuck" and queued.allowed_at is not None:
            seconds = seconds_between(queued.allowed_at, tx.now)
            tx.measure(metrics.OPERATION_SECONDS.observe, seconds)
