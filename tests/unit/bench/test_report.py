"""The report of a benchmark keeps its form, and says what was to be reached."""

import json
from pathlib import Path

from bench import report
from bench.figures import MEASUREMENTS
from bench.goals import GOALS
from bench.report import Row

LIMITED = Row.beside("engine-noop", 4_000.0, "events/s", ("bare-loop", 10_000.0))
ALONE = Row(name="latency-p50", value=42.5, unit="ms")


def test_a_row_is_written_with_exactly_six_fields(tmp_path: Path) -> None:
    report.write([LIMITED, ALONE], tmp_path / "build" / "bench.json")
    assert json.loads((tmp_path / "build" / "bench.json").read_text(encoding="utf-8")) == [
        {
            "name": "engine-noop",
            "value": 4000.0,
            "unit": "events/s",
            "limit_name": "bare-loop",
            "limit_value": 10000.0,
            "ratio": 0.4,
        },
        {
            "name": "latency-p50",
            "value": 42.5,
            "unit": "ms",
            "limit_name": None,
            "limit_value": None,
            "ratio": None,
        },
    ]


def test_the_table_says_which_goals_are_reached() -> None:
    noop, latency = report.table([LIMITED, ALONE]).splitlines()[1:]
    assert noop.split()[-3:] == [">=", "0.5", "no"]
    assert latency.split()[-3:] == ["<=", "60", "yes"]


def test_a_figure_without_a_goal_is_shown_beside_its_limit() -> None:
    row = Row.beside("pipeline-bare", 900.0, "intents/s", ("raw-loop", 9_000.0))
    line = report.table([row]).splitlines()[1]
    assert line.split() == [
        "pipeline-bare", "900", "intents/s", "raw-loop", "9,000", "0.100", "-", "-"
    ]  # fmt: skip


def test_the_names_are_those_that_were_agreed_on() -> None:
    assert set(GOALS) == {
        "audit-memory",
        "replay-100k",
        "why-of-10000",
        "telemetry-cost",
        "sign-intent",
        "verify-intent",
        "engine-noop",
        "store-append-postgres",
        "store-append-sqlite",
        "store-replay-postgres",
        "store-replay-sqlite",
        "end-to-end-postgres",
        "end-to-end-sqlite",
        "end-to-end-signed",
        "pipeline-bare",
        "latency-p50",
        "latency-p99",
        "saga-bare",
        "rss-service",
        "rss-platform",
        "replay-1m-memory",
    }


def test_every_figure_is_measured_once() -> None:
    assert [name for names in MEASUREMENTS for name in names] == list(GOALS)
