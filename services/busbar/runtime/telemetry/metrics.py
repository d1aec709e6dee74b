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
"""Buckets for machine time, in seconds. 60 ms and 250 ms are the latency goals (p50, p99)."""

LONG: Final = (0.025, 0.06, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86_400)
"""Buckets for waiting times up to the longest retry, in seconds."""

LABELS: Final[dict[str, str]] = {
    "service": "the service that the process runs",
    "outcome": "the outcome; each metric lists its values",
    "reason": "the reason for the retry",
    "kind": "the kind of task: `saga`, `webhook`, `parked`",
}


@dataclass(frozen=True, slots=True)
class Definition:
    """The documentation of one metric."""

    name: str
    type: str
    help: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = ()


NowGauge = Gauge
"""The type of the gauges that :func:`gauge` makes."""

DEFINITIONS: Final[list[Definition]] = []
Metric = TypeVar("Metric", Counter, Gauge, Histogram)


def _registered(made: Metric, name: str, help_: str, labels: Sequence[str]) -> Metric:
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
    "Records settled, by outcome: `handled`; `repeated`, its event was handled before; `skipped`, "
    "the service does not subscribe to its type; `parked`, it failed and parked its ordering key; "
    "`waiting`, it is queued behind a parked record; `dead_lettered`, it is an invalid intent.",
    *("service", "outcome"),
)
CONSUMER_LAG_SECONDS = gauge(
    "busbar_consumer_lag_seconds",
    "Age of the oldest unsettled record, in the process or on the broker; 0 if there is none.",
    "service",
)
CONSUMER_LAG_RECORDS = gauge(
    "busbar_consumer_lag_records",
    "Unsettled records of the process's partitions, in the process or on the broker.",
    "service",
)
CONSUMER_BATCH_SECONDS = histogram(
    "busbar_consumer_batch_seconds", "Time to settle one batch of records.", "service"
)
RETRY_REASONS: Final = ("conflict", "handler", "store_unreachable")
CONSUMER_RETRIES = counter(
    "busbar_consumer_retries_total",
    "Retries, by reason: `conflict`, another writer was first; `handler`, a handler failed; "
    "`store_unreachable`, the database did not answer.",
    *("service", "reason"),
)
CONSUMER_PARKED = gauge(
    "busbar_consumer_parked_keys",
    "Ordering keys that are parked because one of their records failed; counted up to 10,000.",
    "service",
)
CONSUMER_STOPPED = gauge(
    "busbar_consumer_stopped",
    "1 if the consumer stopped after too many failures, which needs an operator; otherwise 0.",
    "service",
)
CONSUMER_REBALANCES = counter(
    "busbar_consumer_rebalances_total", "Partition rebalances.", "service"
)

# -- relay ----------------------------------------------------------------------------------------

RELAY_EVENTS = counter(
    "busbar_relay_events_total", "Events published and acknowledged by the broker.", "service"
)
RELAY_BACKLOG = gauge(
    "busbar_relay_backlog_events",
    "Events that are recorded but not published; counted up to 10,000. All instances report the "
    "same value; aggregate with max.",
    "service",
)
RELAY_LAG = histogram(
    "busbar_relay_publish_lag_seconds",
    "Time from the recording of an event to its acknowledgement by the broker.",
    "service",
)
RELAY_FAILURES = counter(
    "busbar_relay_failures_total", "Failed attempts to publish, which are retried.", "service"
)
RELAY_LEADER = gauge(
    "busbar_relay_leader",
    "1 if this process publishes the events of its service, otherwise 0.",
    "service",
)

# -- store ----------------------------------------------------------------------------------------

STORE_SECONDS = histogram(
    "busbar_store_transaction_seconds",
    "Time of a committed write transaction, including lock waits and retries.",
    "service",
)
STORE_CONFLICTS = counter(
    "busbar_store_conflicts_total", "Transactions that conflicted with another writer.", "service"
)
STORE_EVENTS = counter("busbar_store_events_total", "Events appended.", "service")
STORE_GUARD_LAG = gauge(
    "busbar_store_guard_lag_seconds",
    "Age of the oldest committed event that is not yet visible to readers, because an older "
    "transaction still runs in the PostgreSQL cluster; 0 if there is none, and on SQLite.",
    "service",
)
STORE_UP = gauge(
    "busbar_store_up",
    "1 if the database answered during this scrape; if 0, gauges read from it are omitted.",
    "service",
)

# -- tasks ----------------------------------------------------------------------------------------

TASKS_DUE = gauge(
    "busbar_tasks_due",
    "Tasks that are due and unclaimed; counted up to 10,000. All instances report the same value; "
    "aggregate with max.",
    *("service", "kind"),
)
TASKS_OLDEST = gauge(
    "busbar_tasks_oldest_due_seconds",
    "Time since the oldest of these tasks became due; 0 if there is none.",
    *("service", "kind"),
)
TASKS_WAITING = gauge(
    "busbar_tasks_waiting",
    "Tasks that are due later, such as the next attempt after one that failed; counted up to "
    "10,000. All instances report the same value; aggregate with max.",
    *("service", "kind"),
)
TASKS_RUNNING = gauge(
    "busbar_tasks_running", "Tasks that this process is working on.", *("service", "kind")
)
TASK_OUTCOMES: Final = ("done", "retried", "failed", "fenced")
TASKS_OUTCOMES = counter(
    "busbar_tasks_outcomes_total",
    "Runs of tasks, by outcome: `done`; `retried`, the worker requested another run; `failed`, by "
    "an error; `fenced`, the lease was lost or the process stopped.",
    *("service", "kind", "outcome"),
)
TASKS_SECONDS = histogram(
    "busbar_tasks_task_seconds", "Time of one run of a task.", *("service", "kind"), buckets=LONG
)


def exposition() -> bytes:
    """Return all metrics in the text format of Prometheus (:data:`CONTENT_TYPE`)."""
    return generate_latest(REGISTRY)
