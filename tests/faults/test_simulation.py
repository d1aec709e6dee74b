"""Every day's share of the sweeps: each scenario stopped at some awaits, and twice at others.

`make faults` stops it at all of them.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from faults.scenarios import ALL

TESTS = Path(__file__).parents[1]

pytestmark = pytest.mark.timeout(170)


def faults(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """``python -m faults``: it forks, which a process with threads must not."""
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "faults", *arguments],
        cwd=TESTS,
        capture_output=True,
        text=True,
        timeout=160,
        check=False,
    )


@pytest.mark.parametrize("name", ALL)
def test_whatever_is_stopped_anywhere_ends_once_with_each_effect_once(
    name: str, tmp_path: Path
) -> None:
    file = tmp_path / "faults.json"
    run = faults(
        *("--scenario", name, "--every", "97", "--double", "3", "--report", str(file)),
    )
    assert run.returncode == 0, run.stdout + run.stderr
    (row,) = json.loads(file.read_text(encoding="utf-8"))
    assert row["scenario"] == name
    assert row["awaits"] > 97
    assert row["single_kills"] == row["awaits"] // 97
    assert 0 < row["double_kills"] <= 3
    assert [row[name] for name in ("lost", "duplicated", "leaked", "stuck")] == [0, 0, 0, 0]


@pytest.mark.parametrize("name", ["apply", "delete"])
def test_processes_outlive_a_reset_of_their_connections_anywhere(name: str, tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    run = faults("--scenario", f"{name}-resets", "--every", "31", "--report", str(file))
    assert run.returncode == 0, run.stdout + run.stderr
    (row,) = json.loads(file.read_text(encoding="utf-8"))
    assert row["single_kills"] == row["awaits"] // 31 > 3
    assert [row[name] for name in ("lost", "duplicated", "leaked", "stuck")] == [0, 0, 0, 0]


def test_a_run_is_repeated_exactly_by_its_seed_and_its_kills() -> None:
    runs = [faults("--scenario", "update", "--seed", "3", "--kill", "200,40") for _ in range(2)]
    assert [run.returncode for run in runs] == [0, 0], runs[0].stdout + runs[0].stderr
    prints = [re.findall(r"\(run ([0-9a-f]{16})\)", run.stdout) for run in runs]
    assert len(prints[0]) == 1
    assert prints[0] == prints[1]
    other = faults("--scenario", "update", "--seed", "4", "--kill", "200,40")
    assert re.findall(r"\(run ([0-9a-f]{16})\)", other.stdout) != prints[0]


def test_a_kill_without_a_scenario_says_what_is_missing() -> None:
    run = faults("--kill", "10")
    assert run.returncode == 2
    assert "--kill needs one --scenario" in run.stdout
