"""The harness can fail: it turns red when what keeps effects from being doubled is taken away."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from faults.sabotage import SABOTAGES

TESTS = Path(__file__).parents[1]

SEEN = {
    "inbox": "duplicated",
    "epoch": "duplicated",
    "mark": "lost",
    "key": "duplicated",
}
"""Which column of the report shows that it is gone. The stream lock needs writers that cross: see
``integration/store/test_stream_lock.py``."""


def test_each_sabotage_says_where_it_shows() -> None:
    assert SEEN.keys() == SABOTAGES.keys()


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
    assert found["sabotaged"].get(SEEN[name]), found["sabotaged"]
