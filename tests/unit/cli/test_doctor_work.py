"""Work that is stuck, parked or late now fails `busbar doctor`, and `busbar status` names it."""

from io import StringIO

import pytest
from rich.console import Console

from busbar.cli.doctor.work import problems_in
from busbar.cli.shared.samples import parse
from busbar.cli.status.overview import ProcessSnapshot, summarize
from busbar.cli.status.screen import render


@pytest.mark.parametrize(
    ("samples", "detail", "fix"),
    [
        (
            "busbar_provisioner_stuck_operations 3\n",
            "3 operations are stuck",
            "busbar get operations --status stuck",
        ),
        (
            'busbar_consumer_parked_keys{service="policy"} 2\n',
            "2 ordering keys are parked behind dead letters",
            "busbar dead-letters list",
        ),
        (
            'busbar_tasks_oldest_due_seconds{service="notifier",kind="webhook"} 61\n',
            "a task is 61 s late",
            "busbar status",
        ),
    ],
)
def test_what_needs_attention_now_fails_doctor(samples: str, detail: str, fix: str) -> None:
    (found,) = problems_in("policy", parse(samples))
    assert (found.ok, found.needed, found.detail) == (False, True, detail)
    assert fix in found.fix


@pytest.mark.parametrize(
    "samples",
    [
        "busbar_provisioner_stuck_operations 0\n",
        "busbar_provisioner_stuck_operations NaN\n",
        'busbar_consumer_parked_keys{service="policy"} 0\n',
        'busbar_tasks_oldest_due_seconds{service="notifier",kind="webhook"} 59\n',
        "",
    ],
)
def test_nothing_that_needs_attention_fails_nothing(samples: str) -> None:
    assert list(problems_in("policy", parse(samples))) == []


def test_status_names_what_is_stuck_and_parked_once_however_many_instances_count_it() -> None:
    stuck = parse("busbar_provisioner_stuck_operations 3\n")
    parked = parse('busbar_consumer_parked_keys{service="policy"} 2\n')
    found = summarize(
        {},
        {
            "provisioner": ProcessSnapshot(service="provisioner", pid=1, at=1.0, samples=stuck),
            "provisioner.2": ProcessSnapshot(service="provisioner", pid=2, at=1.0, samples=stuck),
            "policy": ProcessSnapshot(service="policy", pid=3, at=1.0, samples=parked),
        },
    )
    assert found.stuck_operations == 3
    shown = StringIO()
    Console(width=200, file=shown).print(render(found))
    assert "stuck operations: 3; see `busbar get operations --status stuck`" in shown.getvalue()
    assert "parked ordering keys: 2; see `busbar dead-letters list`" in shown.getvalue()
