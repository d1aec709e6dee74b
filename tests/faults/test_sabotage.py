"""The harness can fail: it turns red when what keeps effects from being doubled is taken away.

The lock on streams needs writers that cross: ``integration/store/postgres/test_stream_lock.py``.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from faults.sabotage import SABOTAGES

TESTS = Path(__file__).parents[1]


@pytest.mark.timeout(170)
@pytest.mark.parametrize("name", SABOTAGES)
def test_without_it_the_harness_turns_red_and_with_it_nothing_is_found(name: str) -> None:
    # The loops of simulated processes are left as they are, so they need a process of their own.
    run = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "faults.sabotage", name],
        cwd=TESTS,
        capture_output=True,
        text=True,
        timeout=160,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)[name]
    assert found["as_it_is"] == {}
    assert any(found["sabotaged"].values())
