"""The registry of metrics, and the metrics that every service has (ADR 16).

Metrics are made only by :func:`counter`, :func:`gauge` and :func:`histogram`. Those of the parts
that every service has are defined here and carry the label ``service``; those of one service are
defined in its own ``telemetry.py`` and named after it. Labels are bounded: their values are never
ids, names that a user chose, or free text. ``docs/metrics.md`` is generated from the definitions,
and a test compares it with what a process serves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
REGISTRY: Final = CollectorRegistry(auto_describe=False)

SHORT: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.06, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Seconds that a machine takes. 60 ms and 250 ms are what the platform promises (p50, p99)."""

LONG: Final = (0.025, 0.06, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86_400)
"""Seconds that somebody waits, until the longest retry."""

LABELS: Final[dict[str, str]] = {
    "service": "the service that the process runs",
    "outcome": "how it went; each metric says which there are",
    "reason": "why it had to be done again",
    "kind": "the kind of task: `saga`, `webhook`, `parked`",
}


@dataclass(frozen=True, slots=True)
class Definition:
    """What there is to know about one metric."""

    name: str
    type: str
    help: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = ()


DEFINITIONS: Final[list[Definition]] = []
Made = TypeVar("Made", Counter, Gauge, Histogram)


def _registered(made: Made, name: str, help_: str, labels: Sequence[str]) -> Made:
    kind = type(made).__name__.lower()
    DEFINITIONS.append(Definition(name, kind, help_, tuple(labels)))
    return made


def counter(name: str, help_: str, *labels: str) -> Counter:
    """Make and register a counter; ``name`` ends in ``_total``."""
    return _registered(Counter(name, help_, labels, registry=REGISTRY), name, help_, labels)


def gauge(name: str, help_: str, *labels: str) -> Gauge:
    """Make and register a gauge."""
    return _registered(Gauge(name, help_, labels, registry=REGISTRY), name, help_, labels)


def histogram(name: str, help_: str, *labels: str, buckets: tuple[float, ...] = SHORT) -> Histogram:
    """Make and register a histogram of durations; ``buckets`` are upper edges in seconds."""
    made = Histogram(name, help_, labels, registry=REGISTRY, buckets=buckets)
    DEFINITIONS.append(Definition(name, "histogram", help_, labels, buckets))
    return made


def describe_labels(**meanings: str) -> None:
    """Add the meaning of labels that only one service uses."""
    LABELS.update(meanings)


disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotations
ProcessCollector(registry=REGISTRY)

# -- consumer -------------------------------------------------------------------------------------

RECORD_OUTCOMES: Final = ("handled", "repeated", "skipped", "parked", "waiting", "dead_lettered")
CONSUMER_RECORDS = counter(
    "busbar_consumer_records_total",
    "Records settled, by outcome: `handled`; `repeated`, as its event was handled before; "
    "`skipped`, as nobody here asked for its type; `parked`, it failed and its ordering key waits; "
    "`waiting`, it came behind one that is parked; `dead_lettered`, its producer got it wrong.",
    *("service", "outcome"),
)
CONSUMER_LAG_SECONDS = gauge(
    "busbar_consumer_lag_seconds",
    "Age of the oldest record that is in hand or on the broker and not settled; 0 without any.",
    "service",
)
CONSUMER_LAG_RECORDS = gauge(
    "busbar_consumer_lag_records",
    "Records of the process's partitions that are in hand or on the broker and not settled.",
    "service",
)
CONSUMER_BATCH_SECONDS = histogram(
    "busbar_consumer_batch_seconds", "Time to settle one batch of records.", "service"
)
RETRY_REASONS: Final = ("conflict", "handler", "store_away")
CONSUMER_RETRIES = counter(
    "busbar_consumer_retries_total",
    "Tries after the first: `conflict`, another writer was first; `handler`, a handler failed; "
    "`store_away`, the database did not answer.",
    *("service", "reason"),
)
CONSUMER_PARKED = gauge(
    "busbar_consumer_parked_sequences",
    "Sequences that wait because a message of theirs failed; 10,000 are counted at the most.",
    "service",
)
CONSUMER_STOPPED = gauge(
    "busbar_consumer_stopped",
    "1 if so much failed that the consumer stopped: somebody has to look. Else 0.",
    "service",
)
CONSUMER_REBALANCES = counter(
    "busbar_consumer_rebalances_total", "Times that partitions were assigned anew.", "service"
)

# -- relay ----------------------------------------------------------------------------------------

RELAY_EVENTS = counter(
    "busbar_relay_events_total", "Events published and acknowledged by the broker.", "service"
)
RELAY_BACKLOG = gauge(
    "busbar_relay_backlog_events",
    "Events that are recorded and not published; 10,000 are counted at the most. Instances of a "
    "service tell the same, so take the maximum.",
    "service",
)
RELAY_LAG = histogram(
    "busbar_relay_publish_lag_seconds",
    "Time from the recording of an event to its acknowledgement by the broker.",
    "service",
)
RELAY_FAILURES = counter(
    "busbar_relay_failures_total", "Attempts to publish that failed and are repeated.", "service"
)
RELAY_LEADER = gauge(
    "busbar_relay_leader", "1 if this process publishes its service's events, else 0.", "service"
)

# -- store ----------------------------------------------------------------------------------------

STORE_SECONDS = histogram(
    "busbar_store_transaction_seconds",
    "Time of a write transaction that committed, with its wait for others and its repetitions.",
    "service",
)
STORE_CONFLICTS = counter(
    "busbar_store_conflicts_total", "Transactions that met another writer.", "service"
)
STORE_EVENTS = counter("busbar_store_events_total", "Events appended.", "service")
STORE_GUARD_LAG = gauge(
    "busbar_store_guard_lag_seconds",
    "Age of the oldest committed event that readers may not see yet, since an older transaction "
    "still runs somewhere in the PostgreSQL cluster; 0 if there is none, and on SQLite.",
    "service",
)
STORE_UP = gauge(
    "busbar_store_up",
    "1 if the database answered this scrape. If 0, what only the database knows is left out.",
    "service",
)

# -- tasks ----------------------------------------------------------------------------------------

TASKS_DUE = gauge(
    "busbar_tasks_due",
    "Tasks that are due and that nobody works on; 10,000 are counted at the most. Instances of a "
    "service tell the same, so take the maximum.",
    *("service", "kind"),
)
TASKS_OLDEST = gauge(
    "busbar_tasks_oldest_due_seconds",
    "How long the first of these tasks has been due; 0 if there is none.",
    *("service", "kind"),
)
TASKS_RUNNING = gauge(
    "busbar_tasks_running", "Tasks that this process works on.", *("service", "kind")
)
TASK_OUTCOMES: Final = ("done", "again", "failed", "fenced")
TASKS_OUTCOMES = counter(
    "busbar_tasks_outcomes_total",
    "Turns of tasks, by outcome: `done`, as far as it could come; `again`, it asked for another "
    "turn; `failed`, by an error; `fenced`, another process has the task now.",
    *("service", "kind", "outcome"),
)
TASKS_SECONDS = histogram(
    "busbar_tasks_task_seconds", "Time of one turn of a task.", *("service", "kind"), buckets=LONG
)


def exposition() -> bytes:
    """All of it, in the text format that Prometheus reads (:data:`CONTENT_TYPE`)."""
    return generate_latest(REGISTRY)
