"""Reports of `busbar up` about the readiness of its processes."""

from busbar.cli.local.health import HealthReport
from busbar.cli.local.ready import Readiness

READY = Readiness("")
DOWN = Readiness("store: the database is unreachable since 06:12:03 UTC (connection refused)")


def test_processes_that_are_ready_are_not_mentioned() -> None:
    report = HealthReport()
    assert [report.changes({"policy": READY, "audit": READY}) for _ in range(5)] == [[]] * 5


def test_a_problem_is_reported_once_for_all_processes_that_have_it() -> None:
    report = HealthReport()
    found = {"policy": DOWN, "audit": DOWN, "gateway": READY}
    assert report.changes(found) == []
    assert report.changes(found) == [f"audit, policy: {DOWN.problem}"]
    assert report.changes(found) == []


def test_a_problem_that_passes_immediately_is_not_reported() -> None:
    report = HealthReport()
    assert report.changes({"policy": DOWN}) == []
    assert report.changes({"policy": READY}) == []
    assert report.changes({"policy": DOWN}) == []


def test_the_end_of_all_problems_is_reported_once() -> None:
    report = HealthReport()
    for _ in range(2):
        report.changes({"policy": DOWN, "audit": DOWN})
    assert report.changes({"policy": READY, "audit": DOWN}) == []
    assert report.changes({"policy": READY, "audit": READY}) == ["every process is ready again"]
    assert report.changes({"policy": READY, "audit": READY}) == []


def test_another_reason_is_reported_again() -> None:
    report = HealthReport()
    for _ in range(2):
        report.changes({"policy": DOWN})
    other = Readiness("kafka: Kafka is unreachable since 06:13:00 UTC (no answer)")
    assert report.changes({"policy": other}) == [f"policy: {other.problem}"]
