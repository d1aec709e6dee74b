"""Computes what the platform is doing from two snapshots of its processes. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from busbar.cli.shared.samples import Samples

DECISIONS = "busbar_policy_decisions_total"
OPERATIONS = "busbar_provisioner_operations_total"
BROKEN_PROMISES = "busbar_policy_broken_promises"
UNSIGNED = "busbar_policy_unsigned_intents_accepted"
STUCK = "busbar_provisioner_stuck_operations"
WAITING = "busbar_tasks_waiting"
WEBHOOKS = "busbar_notifier_attempts_total"


@dataclass(frozen=True, slots=True)
class ProcessSnapshot:
    """The answers of one process; ``problem`` is empty exactly when it is ready.

    ``samples`` is None if it exposes no metrics. ``at`` is in monotonic seconds.
    """

    service: str
    pid: int
    at: float
    problem: str = ""
    samples: Samples | None = None
    answers: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
    """One row. Unknown values are None; ``_per_second`` needs two snapshots."""

    name: str
    service: str
    pid: int
    ready: bool
    problem: str
    records_per_second: float | None = None
    lag_seconds: float | None = None
    lag_records: float | None = None
    parked_keys: float | None = None
    stopped: bool = False
    retries_per_second: float | None = None
    published_per_second: float | None = None
    backlog_events: float | None = None
    leads: bool = False
    tasks_due: float | None = None
    tasks_running: float | None = None
    oldest_due_seconds: float | None = None
    guard_lag_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Counts and rates by outcome, since the processes started.

    ``known`` is true if a process that counts them answered.
    """

    known: bool = False
    total: Mapping[str, float] = field(default_factory=dict)
    per_second: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Overview:
    """The status of the platform at one time."""

    processes: tuple[ProcessStatus, ...]
    decisions: Outcomes
    operations: Outcomes
    webhooks: Outcomes
    accepts_unsigned: bool = False
    """Whether policy accepts intents without a signature, which is for development only."""
    broken_promises: float = 0
    """The promise files that policy does not offer because something is wrong with them."""
    stuck_operations: float = 0
    """The operations that need an operator now, whichever process has found that."""
    waiting_operations: float = 0
    """The resources whose operation waits for its next attempt, those that are stuck included."""
    waiting_deliveries: float = 0
    """The deliveries that wait for their next attempt."""


def summarize(
    before: Mapping[str, ProcessSnapshot], now: Mapping[str, ProcessSnapshot]
) -> Overview:
    """Compute the status from two snapshots of each process, by name."""
    pairs = [
        (name, _comparable(before.get(name), snapshot), snapshot)
        for name, snapshot in sorted(now.items())
    ]
    snapshots = [(earlier, snapshot) for _, earlier, snapshot in pairs]
    return Overview(
        tuple(_process(name, earlier, snapshot) for name, earlier, snapshot in pairs),
        decisions=_outcomes(snapshots, "policy", DECISIONS),
        operations=_outcomes(snapshots, "provisioner", OPERATIONS),
        webhooks=_outcomes(snapshots, "notifier", WEBHOOKS),
        accepts_unsigned=bool(_largest(now, UNSIGNED)),
        broken_promises=_largest(now, BROKEN_PROMISES),
        stuck_operations=_largest(now, STUCK),
        waiting_operations=_largest(now, WAITING, kind="saga"),
        waiting_deliveries=_largest(now, WAITING, kind="webhook"),
    )


def _largest(now: Mapping[str, ProcessSnapshot], name: str, **labels: str) -> float:
    """Return the largest value of the gauge ``name``, as every instance counts the same rows."""
    found = (one.samples.largest(name, **labels) for one in now.values() if one.samples)
    return max((value for value in found if value), default=0.0)


def _comparable(before: ProcessSnapshot | None, now: ProcessSnapshot) -> ProcessSnapshot | None:
    """Return ``before`` if it is an earlier snapshot of the same process, else None."""
    if before is None or before.pid != now.pid or before.samples is None or before.at >= now.at:
        return None
    return before


def _process(name: str, before: ProcessSnapshot | None, now: ProcessSnapshot) -> ProcessStatus:
    known = ProcessStatus(
        name=name, service=now.service, pid=now.pid, ready=not now.problem, problem=now.problem
    )
    found = now.samples
    if found is None:
        return known
    return ProcessStatus(
        name=name,
        service=now.service,
        pid=now.pid,
        ready=known.ready,
        problem=known.problem,
        records_per_second=_rate(before, now, "busbar_consumer_records_total"),
        lag_seconds=found.largest("busbar_consumer_lag_seconds"),
        lag_records=found.total("busbar_consumer_lag_records"),
        parked_keys=found.total("busbar_consumer_parked_keys"),
        stopped=bool(found.largest("busbar_consumer_stopped")),
        retries_per_second=_rate(before, now, "busbar_consumer_retries_total"),
        published_per_second=_rate(before, now, "busbar_relay_events_total"),
        backlog_events=found.largest("busbar_relay_backlog_events"),
        leads=bool(found.largest("busbar_relay_leader")),
        tasks_due=found.total("busbar_tasks_due"),
        tasks_running=found.total("busbar_tasks_running"),
        oldest_due_seconds=found.largest("busbar_tasks_oldest_due_seconds"),
        guard_lag_seconds=found.largest("busbar_store_guard_lag_seconds"),
    )


def _rate(before: ProcessSnapshot | None, now: ProcessSnapshot, name: str) -> float | None:
    if before is None or before.samples is None or now.samples is None:
        return None
    newer = now.samples.total(name) or 0.0
    return _increase(before.samples.total(name) or 0.0, newer) / (now.at - before.at)


def _increase(older: float, newer: float) -> float:
    """Return the increase of a counter; one that is lower than before was reset."""
    return newer - older if newer >= older else newer


def _outcomes(
    snapshots: Sequence[tuple[ProcessSnapshot | None, ProcessSnapshot]], service: str, name: str
) -> Outcomes:
    known = False
    total: dict[str, float] = {}
    rates: dict[str, float] = {}
    for before, now in snapshots:
        if now.samples is None or now.service != service:
            continue
        known = True
        newer = now.samples.total_by("outcome", name)
        for outcome, value in newer.items():
            total[outcome] = total.get(outcome, 0.0) + value
        if before is None or before.samples is None:
            continue
        older = before.samples.total_by("outcome", name)
        for outcome, value in newer.items():
            rate = _increase(older.get(outcome, 0.0), value) / (now.at - before.at)
            rates[outcome] = rates.get(outcome, 0.0) + rate
    return Outcomes(known, total, rates)
