"""From what processes told twice to what the platform is doing: pure arithmetic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from busbar.cli.status.samples import Samples

DECISIONS = "busbar_policy_decisions_total"
OPERATIONS = "busbar_provisioner_operations_total"
WEBHOOKS = "busbar_notifier_attempts_total"


@dataclass(frozen=True, slots=True)
class Look:
    """What one process answered; ``problem`` is empty exactly when it is ready.

    ``samples`` is None if it gave none. ``at`` is a moment in seconds, for differences only.
    """

    service: str
    pid: int
    at: float
    problem: str = ""
    samples: Samples | None = None
    answers: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One line of the picture. What is not known is None; ``_per_second`` needs two looks."""

    name: str
    service: str
    pid: int
    ready: bool
    problem: str
    records_per_second: float | None = None
    lag_seconds: float | None = None
    lag_records: float | None = None
    parked_sequences: float | None = None
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
class Flow:
    """How often something ended in which way, since the processes began and now.

    It is ``known`` if a process answered that counts this.
    """

    known: bool = False
    total: Mapping[str, float] = field(default_factory=dict)
    per_second: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Picture:
    """The platform at one moment."""

    processes: tuple[Process, ...]
    decisions: Flow
    operations: Flow
    webhooks: Flow


def picture(before: Mapping[str, Look], now: Mapping[str, Look]) -> Picture:
    """What the platform does, from two looks at its processes, by their names."""
    pairs = [(name, _earlier(before.get(name), look), look) for name, look in sorted(now.items())]
    looks = [(earlier, look) for _, earlier, look in pairs]
    return Picture(
        tuple(_process(name, earlier, look) for name, earlier, look in pairs),
        decisions=_flow(looks, "policy", DECISIONS),
        operations=_flow(looks, "provisioner", OPERATIONS),
        webhooks=_flow(looks, "notifier", WEBHOOKS),
    )


def _earlier(before: Look | None, now: Look) -> Look | None:
    """``before`` if it can be compared with ``now``: the same process, which has gone on."""
    if before is None or before.pid != now.pid or before.samples is None or before.at >= now.at:
        return None
    return before


def _process(name: str, before: Look | None, now: Look) -> Process:
    known = Process(
        name=name, service=now.service, pid=now.pid, ready=not now.problem, problem=now.problem
    )
    found = now.samples
    if found is None:
        return known
    return Process(
        name=name,
        service=now.service,
        pid=now.pid,
        ready=known.ready,
        problem=known.problem,
        records_per_second=_rate(before, now, "busbar_consumer_records_total"),
        lag_seconds=found.most("busbar_consumer_lag_seconds"),
        lag_records=found.total("busbar_consumer_lag_records"),
        parked_sequences=found.total("busbar_consumer_parked_sequences"),
        stopped=bool(found.most("busbar_consumer_stopped")),
        retries_per_second=_rate(before, now, "busbar_consumer_retries_total"),
        published_per_second=_rate(before, now, "busbar_relay_events_total"),
        backlog_events=found.most("busbar_relay_backlog_events"),
        leads=bool(found.most("busbar_relay_leader")),
        tasks_due=found.total("busbar_tasks_due"),
        tasks_running=found.total("busbar_tasks_running"),
        oldest_due_seconds=found.most("busbar_tasks_oldest_due_seconds"),
        guard_lag_seconds=found.most("busbar_store_guard_lag_seconds"),
    )


def _rate(before: Look | None, now: Look, name: str) -> float | None:
    if before is None or before.samples is None or now.samples is None:
        return None
    newer = now.samples.total(name) or 0.0
    return _grown(before.samples.total(name) or 0.0, newer) / (now.at - before.at)


def _grown(older: float, newer: float) -> float:
    """By how much a counter grew; one that is lower than before began anew."""
    return newer - older if newer >= older else newer


def _flow(looks: Sequence[tuple[Look | None, Look]], service: str, name: str) -> Flow:
    known = False
    total: dict[str, float] = {}
    rates: dict[str, float] = {}
    for before, now in looks:
        if now.samples is None or now.service != service:
            continue
        known = True
        newer = now.samples.by("outcome", name)
        for outcome, value in newer.items():
            total[outcome] = total.get(outcome, 0.0) + value
        if before is None or before.samples is None:
            continue
        older = before.samples.by("outcome", name)
        for outcome, value in newer.items():
            rate = _grown(older.get(outcome, 0.0), value) / (now.at - before.at)
            rates[outcome] = rates.get(outcome, 0.0) + rate
    return Flow(known, total, rates)
