"""Every metric of the platform, and the only module that makes any (ADR 16).

A part that every service has carries the label ``service``; what one service alone has is named
after it. Labels are bounded: no metric has an id, a name of somebody's choice or a text in them.
``docs/metrics.md`` is generated from here, and a test compares it with what a process serves.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from prometheus_client import (  # noqa: TID251 - this is the one place
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

LABELS: Final = {
    "service": "the service that the process runs",
    "outcome": "how it went; each metric says which there are",
    "reason": "why it had to be done again",
    "kind": "the kind of task: `saga`, `webhook`, `parked`",
    "adapter": "the adapter of the plan's step, as `kafka-topic`",
    "action": "what was asked of the adapter: `observe`, `apply`, `remove`",
    "result": "what the adapter answered",
    "method": "the HTTP method; `other` if it is none of the usual ones",
    "route": "the route as declared, as `/v1/operations/{operation}`; `none` if there is none",
    "status": "the HTTP status",
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
    "Records settled, by outcome: `handled`; `repeated`, as its event was handled before; "
    "`skipped`, as nobody here asked for its type; `parked`, it failed and its ordering key waits; "
    "`waiting`, it came behind one that is parked; `dead_lettered`, its producer got it wrong.",
    *("service", "outcome"),
)
CONSUMER_LAG_SECONDS = _gauge(
    "busbar_consumer_lag_seconds",
    "Age of the oldest record that is in hand or on the broker and not settled; 0 without any.",
    "service",
)
CONSUMER_LAG_RECORDS = _gauge(
    "busbar_consumer_lag_records",
    "Records of the process's partitions that are in hand or on the broker and not settled.",
    "service",
)
CONSUMER_BATCH_SECONDS = _seconds(
    "busbar_consumer_batch_seconds", "Time to settle one batch of records.", "service"
)
RETRY_REASONS: Final = ("conflict", "handler", "store_away")
CONSUMER_RETRIES = _counter(
    "busbar_consumer_retries_total",
    "Tries after the first: `conflict`, another writer was first; `handler`, a handler failed; "
    "`store_away`, the database did not answer.",
    *("service", "reason"),
)
CONSUMER_PARKED = _gauge(
    "busbar_consumer_parked_sequences",
    "Sequences that wait because a message of theirs failed; 10,000 are counted at the most.",
    "service",
)
CONSUMER_STOPPED = _gauge(
    "busbar_consumer_stopped",
    "1 if so much failed that the consumer stopped: somebody has to look. Else 0.",
    "service",
)
CONSUMER_REBALANCES = _counter(
    "busbar_consumer_rebalances_total", "Times that partitions were assigned anew.", "service"
)

# -- relay ----------------------------------------------------------------------------------------

RELAY_EVENTS = _counter(
    "busbar_relay_events_total", "Events published and acknowledged by the broker.", "service"
)
RELAY_BACKLOG = _gauge(
    "busbar_relay_backlog_events",
    "Events that are recorded and not published; 10,000 are counted at the most. Instances of a "
    "service tell the same, so take the maximum.",
    "service",
)
RELAY_LAG = _seconds(
    "busbar_relay_publish_lag_seconds",
    "Time from the recording of an event to its acknowledgement by the broker.",
    "service",
)
RELAY_FAILURES = _counter(
    "busbar_relay_failures_total", "Attempts to publish that failed and are repeated.", "service"
)
RELAY_LEADER = _gauge(
    "busbar_relay_leader", "1 if this process publishes its service's events, else 0.", "service"
)

# -- store ----------------------------------------------------------------------------------------

STORE_SECONDS = _seconds(
    "busbar_store_transaction_seconds",
    "Time of a write transaction that committed, with its wait for others and its repetitions.",
    "service",
)
STORE_CONFLICTS = _counter(
    "busbar_store_conflicts_total", "Transactions that met another writer.", "service"
)
STORE_EVENTS = _counter("busbar_store_events_total", "Events appended.", "service")
STORE_GUARD_LAG = _gauge(
    "busbar_store_guard_lag_seconds",
    "Age of the oldest committed event that readers may not see yet, since an older transaction "
    "still runs somewhere in the PostgreSQL cluster; 0 if there is none, and on SQLite.",
    "service",
)
STORE_UP = _gauge(
    "busbar_store_up",
    "1 if the database answered this scrape. If 0, what only the database knows is left out.",
    "service",
)

# -- tasks ----------------------------------------------------------------------------------------

TASKS_DUE = _gauge(
    "busbar_tasks_due",
    "Tasks that are due and that nobody works on; 10,000 are counted at the most. Instances of a "
    "service tell the same, so take the maximum.",
    *("service", "kind"),
)
TASKS_OLDEST = _gauge(
    "busbar_tasks_oldest_due_seconds",
    "How long the first of these tasks has been due; 0 if there is none.",
    *("service", "kind"),
)
TASKS_RUNNING = _gauge(
    "busbar_tasks_running", "Tasks that this process works on.", *("service", "kind")
)
TASK_OUTCOMES: Final = ("done", "retried", "failed", "fenced")
TASKS_OUTCOMES = _counter(
    "busbar_tasks_outcomes_total",
    "Turns of tasks, by outcome: `done`, as far as it could come; `retried`, it asked for another "
    "turn; `failed`, by an error; `fenced`, another process has the task now.",
    *("service", "kind", "outcome"),
)
TASKS_SECONDS = _seconds(
    "busbar_tasks_task_seconds", "Time of one turn of a task.", *("service", "kind"), buckets=LONG
)

# -- what one service alone has -------------------------------------------------------------------

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
    """All of it, in the text format that Prometheus reads (:data:`CONTENT_TYPE`)."""
    return generate_latest(REGISTRY)


def forget(gauges: Iterable[tuple[Gauge, tuple[str, ...]]]) -> None:
    """Leave these samples out, as nobody knows them now."""
    for gauge, labels in gauges:
        gauge.remove(*labels)
