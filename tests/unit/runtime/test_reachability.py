"""The reachability of a peer, and since when it is missing."""

from datetime import UTC, datetime

from busbar.runtime.telemetry.reachability import Reachability
from busbar.testing import ManualClock

_START = datetime(2026, 1, 31, 6, 12, 3, tzinfo=UTC)


def test_a_peer_counts_as_reachable_until_it_does_not_answer() -> None:
    peer = Reachability("the database", ManualClock(_START))
    assert peer.reachable
    assert peer.problem is None


def test_the_problem_says_since_when_and_the_newest_reason() -> None:
    clock = ManualClock(_START)
    peer = Reachability("the database", clock)
    peer.failed("connection refused")
    clock.advance(30)
    peer.failed("it is starting or stopping")
    assert not peer.reachable
    assert (
        peer.problem
        == "the database is unreachable since 06:12:03 UTC (it is starting or stopping)"
    )


def test_an_answer_ends_the_problem_and_the_next_one_begins_later() -> None:
    clock = ManualClock(_START)
    peer = Reachability("Kafka", clock)
    peer.failed("no answer")
    peer.answered()
    assert peer.problem is None
    clock.advance(60)
    peer.failed("no connection")
    assert peer.problem == "Kafka is unreachable since 06:13:03 UTC (no connection)"
