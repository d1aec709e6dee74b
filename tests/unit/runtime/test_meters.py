"""Tests of the meters, and of the lag of a consumer."""

import asyncio

import pytest

from busbar.kernel.clock import format_time
from busbar.runtime.telemetry.meters import ConsumerMeter, RelayMeter, StoreMeter, TaskMeter
from busbar.testing import ManualClock
from support.metrics import counted
from support.runtime import (
    BEGIN,
    record,
)


def meter(clock: ManualClock) -> ConsumerMeter:
    return ConsumerMeter("policy", clock)


def aged(clock: ManualClock, seconds: float) -> int:
    """Return the timestamp of a record that is ``seconds`` old."""
    return int((clock.now().timestamp() - seconds) * 1000)


def test_nothing_waits_so_nothing_lags(clock: ManualClock) -> None:
    found = meter(clock)
    clock.advance(3600)
    assert found.lag(0) == (0.0, 0)


def test_what_is_in_hand_is_as_old_as_its_oldest_record(clock: ManualClock) -> None:
    found = meter(clock)
    batch = [record(number, timestamp=aged(clock, old)) for number, old in enumerate((3, 7, 5))]
    with found.batch(batch):
        assert found.lag(0) == (7.0, 3)
        clock.advance(10)
        assert found.lag(4) == (17.0, 7)
    assert found.lag(0) == (0.0, 0)


def test_waiting_records_are_not_older_than_the_last_check_that_found_none(
    clock: ManualClock,
) -> None:
    found = meter(clock)
    with found.batch([record(1, timestamp=aged(clock, 0))]):
        pass
    clock.advance(24 * 3600)
    found.lag(0)
    clock.advance(2)
    assert found.lag(1) == (2.0, 1)
    clock.advance(60)
    assert found.lag(9) == (62.0, 9)


def test_while_it_catches_up_it_is_as_far_behind_as_what_it_settled_last(
    clock: ManualClock,
) -> None:
    found = meter(clock)
    clock.advance(600)
    with found.batch([record(1, timestamp=aged(clock, 90))]):
        pass
    assert found.lag(1) == (90.0, 1)


def test_a_clock_that_was_set_back_gives_no_negative_times(clock: ManualClock) -> None:
    found = meter(clock)
    before = counted("busbar_consumer_batch_seconds_sum", service="policy")
    with found.batch([record(1, timestamp=aged(clock, 0))]):
        clock.advance(-3600)
        assert found.lag(0) == (0.0, 1)
    assert counted("busbar_consumer_batch_seconds_sum", service="policy") == before


def test_publishing_is_timed_from_the_recording_of_each_event(clock: ManualClock) -> None:
    found = RelayMeter("meters", clock)
    clock.advance(0.2)
    found.published([format_time(BEGIN)] * 3)
    assert counted("busbar_relay_events_total", service="meters") == 3
    assert counted("busbar_relay_publish_lag_seconds_bucket", service="meters", le="0.1") == 0
    assert counted("busbar_relay_publish_lag_seconds_bucket", service="meters", le="0.25") == 3


def test_a_transaction_is_timed_and_its_events_are_counted(clock: ManualClock) -> None:
    found = StoreMeter("meters", clock)
    begin = found.now()
    clock.advance(0.05)
    found.committed(begin, 2)
    found.committed(begin, 0)
    assert counted("busbar_store_events_total", service="meters") == 2
    assert counted("busbar_store_transaction_seconds_bucket", service="meters", le="0.06") == 2
    assert counted("busbar_store_transaction_seconds_bucket", service="meters", le="0.025") == 0


def test_a_turn_is_counted_by_how_it_went(clock: ManualClock) -> None:
    found = TaskMeter("meters", "saga", clock)
    about = {"service": "meters", "kind": "saga"}
    with found.turn() as turn:
        assert counted("busbar_tasks_running", **about) == 1
        turn.outcome = "retried"
        clock.advance(2)
    assert counted("busbar_tasks_running", **about) == 0
    assert counted("busbar_tasks_outcomes_total", **about, outcome="retried") == 1
    assert counted("busbar_tasks_task_seconds_sum", **about) == 2


def test_a_turn_that_is_cut_off_is_fenced(clock: ManualClock) -> None:
    found = TaskMeter("meters", "webhook", clock)
    with pytest.raises(asyncio.CancelledError), found.turn():
        raise asyncio.CancelledError
    about = {"service": "meters", "kind": "webhook"}
    assert counted("busbar_tasks_outcomes_total", **about, outcome="fenced") == 1
    assert counted("busbar_tasks_running", **about) == 0
