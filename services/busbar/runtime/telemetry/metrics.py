"""All metrics of the platform; no other module creates any (ADR 16).

Metrics of parts that every service has carry the label ``service``; metrics of a single service are
named after it. Labels are bounded: their values are never ids, user-defined names or free text.
``docs/metrics.md`` is generated from here, and a test compares it with what a process serves.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from prometheus_client import (  # noqa: TID251 - the only module
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

LABELS: Final = {
    "service": "the service that the process runs",
    "outcome": "the outcome; each metric lists its values",
    "reason": "the reason for the retry",
    "kind": "the kind of task: `saga`, `webhook`, `parked`",
    "adapter": "the adapter of the plan's step, such as `kafka-topic`",
    "action": "the operation of the adapter: `observe`, `apply`, `remove`",
    "result": "the result of the adapter",
    "method": "the HTTP method; `other` for unusual methods",
    "route": "the route's template, as `/v1/operations/{operation}`; `none` if no route matches",
    "status": "the HTTP status",
}


@dataclass(frozen=True, slots=True)
class Definition:
    """The documentation of one metric."""

    name: str
    type: str
    help: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = ()


DEFINITIONS: Final[list[Definition]] = []
Metric = TypeVar("Metric", Counter, Gauge, Histogram)


def _defined(made: Metric, name: str, help_: str, labels: Sequence[str]) -> Metric:
    kind = type(made).__name__.lower()
    DEFINITIONS.append(Definition(name, kind, help_, tuple(labels)))
    return made


def _counter(name: str, help_: str, *labels: str) -> Counter:
    return _defined(Counter(name, help_, labels, registry=REGISTRY), name, help_, labels)


def _gauge(name: str, help_: str, *labels: str) -> Gauge:
    return _defined(Gauge(name, help_, labels, registry=REGISTRY), name, help_, labels)


def _seconds(name: str, help_: str, *labels: str, buckets: tuple[float, ...] = SHORT) -> Histogram:
    made = Histogram(name, help_, labels, registry=REGISTRY, buckets=buckets)
    DEFINITIONS.append(Definition(name, "histogram", help_, labels, buckets))
    return made


disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotations
ProcessCollector(registry=REGISTRY)

# -- consumer -------------------------------------------------------------------------------------

RECORD_OUTCOMES: Final = ("handled", "repeated", "skipped", "parked", "waiting", "dead_lettered")
CONSUMER_RECORDS = _counter(
    "busbar_consumer_records_total",
    "Records settled, by outcome: `handled`; `repeated`, its event was handled before; `skipped`, "
    "the service does not subscribe to its type; `parked`, it failed and parked its ordering key; "
    "`waiting`, it is queued behind a parked record; `dead_lettered`, it is an invalid intent.",
    *("service", "outcome"),
)
CONSUMER_LAG_SECONDS = _gauge(
    "busbar_consumer_lag_seconds",
    "Age of the oldest unsettled record, in the process or on the broker; 0 if there is none.",
    "service",
)
CONSUMER_LAG_RECORDS = _gauge(
    "busbar_consumer_lag_records",
    "Unsettled records of the process's partitions, in the process or on the broker.",
    "service",
)
CONSUMER_BATCH_SECONDS = _seconds(
    "busbar_consumer_batch_seconds", "Time to settle one batch of records.", "service"
)
RETRY_REASONS: Final = ("conflict", "handler", "store_unreachable")
CONSUMER_RETRIES = _counter(
    "busbar_consumer_retries_total",
    "Retries, by reason: `conflict`, another writer was first; `handler`, a handler failed; "
    "`store_unreachable`, the database did not answer.",
    *("service", "reason"),
)
CONSUMER_PARKED = _gauge(
    "busbar_consumer_parked_sequences",
    "Ordering keys that are parked because one of their records failed; counted up to 10,000.",
    "service",
)
CONSUMER_STOPPED = _gauge(
    "busbar_consumer_stopped",
    "1 if the consumer stopped after too many failures, which needs an operator; otherwise 0.",
    "service",
)
CONSUMER_REBALANCES = _counter(
    "busbar_consumer_rebalances_total", "Partition rebalances.", "service"
)

# -- relay ----------------------------------------------------------------------------------------

RELAY_EVENTS = _counter(
    "busbar_relay_events_total", "Events published and acknowledged by the broker.", "service"
)
RELAY_BACKLOG = _gauge(
    "busbar_relay_backlog_events",
    "Events that are recorded but not published; counted up to 10,000. All instances report the "
    "same value; aggregate with max.",
    "service",
)
RELAY_LAG = _seconds(
    "busbar_relay_publish_lag_seconds",
    "Time from the recording of an event to its acknowledgement by the broker.",
    "service",
)
RELAY_FAILURES = _counter(
    "busbar_relay_failures_total", "Failed attempts to publish, which are retried.", "service"
)
RELAY_LEADER = _gauge(
    "busbar_relay_leader",
    "1 if this process publishes the events of its service, otherwise 0.",
    "service",
)

# -- store ----------------------------------------------------------------------------------------

STORE_SECONDS = _seconds(
    "busbar_store_transaction_seconds",
    "Time of a committed write transaction, including lock waits and retries.",
    "service",
)
STORE_CONFLICTS = _counter(
    "busbar_store_conflicts_total", "Transactions that conflicted with another writer.", "service"
)
STORE_EVENTS = _counter("busbar_store_events_total", "Events appended.", "service")
STORE_GUARD_LAG = _gauge(
    "busbar_store_guard_lag_seconds",
    "Age of the oldest committed event that is not yet visible to readers, because an older "
    "transaction still runs in the PostgreSQL cluster; 0 if there is none, and on SQLite.",
    "service",
)
STORE_UP = _gauge(
    "busbar_store_up",
    "1 if the database answered during this scrape; if 0, gauges read from it are omitted.",
    "service",
)

# -- tasks ----------------------------------------------------------------------------------------

TASKS_DUE = _gauge(
    "busbar_tasks_due",
    "Tasks that are due and unclaimed; counted up to 10,000. All instances report the same value; "
    "aggregate with max.",
    *("service", "kind"),
)
TASKS_OLDEST = _gauge(
    "busbar_tasks_oldest_due_seconds",
    "Time since the oldest of these tasks became due; 0 if there is none.",
    *("service", "kind"),
)
TASKS_RUNNING = _gauge(
    "busbar_tasks_running", "Tasks that this process is working on.", *("service", "kind")
)
TASK_OUTCOMES: Final = ("done", "retried", "failed", "fenced")
TASKS_OUTCOMES = _counter(
    "busbar_tasks_outcomes_total",
    "Runs of tasks, by outcome: `done`; `retried`, the worker requested another run; `failed`, by "
    "an error; `fenced`, the lease was lost or the process stopped.",
    *("service", "kind", "outcome"),
)
TASKS_SECONDS = _seconds(
    "busbar_tasks_task_seconds", "Time of one run of a task.", *("service", "kind"), buckets=LONG
)

# -- metrics of one service -----------------------------------------------------------------------

DECISIONS = _counter(
    "busbar_policy_decisions_total",
    "Intents judged, by outcome: `allowed`, `denied`, `expired` before it was judged, "
    "`conflicted`, as another body came under its id.",
    "outcome",
)
DECISION_SECONDS = _seconds(
    "busbar_policy_decision_seconds",
    "Time from an intent's record on the broker to its decision.",
    buckets=LONG,
)
STEPS = _counter(
    "busbar_provisioner_steps_total",
    "Calls of adapters, by result: `absent`, `ours` or `foreign` of `observe`; `done`, `not_done` "
    "or `unknown` of the others and where no answer came.",
    *("adapter", "action", "result"),
)
STEP_SECONDS = _seconds(
    "busbar_provisioner_step_seconds",
    "Time of a call of an adapter.",
    *("adapter", "action"),
    buckets=LONG,
)
OPERATIONS = _counter(
    "busbar_provisioner_operations_total",
    "Operations that ended as `succeeded` or `failed`, or became `stuck` and wait for somebody.",
    "outcome",
)
OPERATION_SECONDS = _seconds(
    "busbar_provisioner_operation_seconds",
    "Time from the decision that allowed an operation to its end.",
    buckets=LONG,
)
WEBHOOKS = _counter(
    "busbar_notifier_attempts_total",
    "Attempts at webhooks, by outcome: the class of the status, as `2xx`, or why none came: "
    "`timeout`, `dns`, `connection_refused`, `unreachable`, `tls`, `connection_lost`, "
    "`bad_response`, `refused_url`, `refused_address`, `no_secret`.",
    "outcome",
)
WEBHOOK_SECONDS = _seconds(
    "busbar_notifier_attempt_seconds", "Time of one attempt at a webhook.", buckets=LONG
)
DELIVERY_SECONDS = _seconds(
    "busbar_notifier_delivery_seconds",
    "Time from a fact's recording to its delivery to a subscriber.",
    buckets=LONG,
)
REQUESTS = _counter(
    "busbar_gateway_requests_total", "HTTP requests answered.", *("method", "route", "status")
)
REQUEST_SECONDS = _seconds(
    "busbar_gateway_request_seconds",
    "Time of an HTTP request; requests with `wait` are held back until there is news.",
    "route",
    buckets=LONG,
)


def exposition() -> bytes:
    """Return all metrics in the text format of Prometheus (:data:`CONTENT_TYPE`)."""
    return generate_latest(REGISTRY)


def forget(gauges: Iterable[tuple[Gauge, tuple[str, ...]]]) -> None:
    """Remove these samples, whose values are currently unknown."""
    for gauge, labels in gauges:
        gauge.remove(*labels)
