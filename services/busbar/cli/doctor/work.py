"""Checks of the work of the processes that run: what is stuck, parked or late now."""

import http.client
from collections.abc import Iterator

from busbar.cli.doctor.result import CheckResult
from busbar.cli.local.addresses import Address
from busbar.cli.local.ready import connect
from busbar.cli.shared.samples import Samples, read_samples

LATE_SECONDS = 60.0
"""Age from which on a task that is due counts as late."""


def check_work(name: str, address: Address) -> Iterator[CheckResult]:
    """Check the gauges of the process ``name``; a process without metrics has none."""
    connection = connect(address)
    try:
        samples = read_samples(connection)
    except (OSError, http.client.HTTPException):
        return  # its readiness says so already
    finally:
        connection.close()
    if samples is not None:
        yield from problems_in(name, samples)


def problems_in(name: str, samples: Samples) -> Iterator[CheckResult]:
    """Yield a failed check for everything that needs attention now."""
    stuck = samples.largest("busbar_provisioner_stuck_operations") or 0.0
    parked = samples.largest("busbar_consumer_parked_keys") or 0.0
    late = samples.largest("busbar_tasks_oldest_due_seconds") or 0.0
    if stuck:
        yield CheckResult(
            name=f"  {name}",
            ok=False,
            detail=f"{stuck:,.0f} operations are stuck",
            fix="See them: busbar get operations --status stuck; then retry or abandon each.",
        )
    if parked:
        yield CheckResult(
            name=f"  {name}",
            ok=False,
            detail=f"{parked:,.0f} ordering keys are parked behind dead letters",
            fix="See them: busbar dead-letters list; then redrive or discard each.",
        )
    if late > LATE_SECONDS:
        yield CheckResult(
            name=f"  {name}",
            ok=False,
            detail=f"a task is {late:,.0f} s late",
            fix="See `busbar status` and the log of the service.",
        )
