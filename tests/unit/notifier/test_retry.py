"""The decision after an attempt: success, a retry, or giving up."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.notifier.domain import (
    DEFAULT_POLICY,
    Attempt,
    Delivered,
    ErrorCode,
    GiveUp,
    RetryLater,
    RetryPolicy,
    next_attempt,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NETWORK_ERRORS: tuple[ErrorCode, ...] = (
    "timeout",
    "dns",
    "connection_refused",
    "unreachable",
    "tls",
    "connection_lost",
    "bad_response",
)

jitters = st.floats(0, 1, exclude_max=True)
statuses = st.integers(100, 999)
outcomes = st.one_of(
    st.builds(Attempt, status=statuses, retry_after=st.none() | st.text() | st.from_regex("[0-9]")),
    st.builds(Attempt, error=st.sampled_from((*NETWORK_ERRORS, "refused_url", "refused_address"))),
)
policies = st.builds(
    RetryPolicy,
    delays=st.lists(st.floats(0, 1e6), max_size=12).map(tuple),
    spread=st.floats(0, 1, exclude_max=True),
    retry_after_cap=st.floats(0, 7200),
)


def after(
    attempt: int,
    *,
    status: int | None = None,
    error: ErrorCode | None = None,
    retry_after: str | None = None,
    jitter: float = 0.5,
) -> Delivered | RetryLater | GiveUp:
    outcome = Attempt(status=status, error=error, retry_after=retry_after)
    return next_attempt(attempt, outcome, jitter=jitter, now=NOW)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_delivered_even_at_the_last_attempt(status: int) -> None:
    assert after(1, status=status) == Delivered(status)
    assert after(9, status=status) == Delivered(status)


def test_the_default_schedule_spans_almost_a_day_in_nine_attempts() -> None:
    waits = [after(attempt, status=500) for attempt in range(1, 10)]
    assert waits == [
        *map(RetryLater, (5, 30, 120, 600, 3600, 10_800, 21_600, 43_200)),
        GiveUp("status 500"),
    ]


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 418, 500, 503, 600])
def test_every_other_answer_is_tried_again_until_the_budget_is_spent(status: int) -> None:
    assert after(1, status=status) == RetryLater(5)
    assert after(9, status=status) == GiveUp(f"status {status}")


@pytest.mark.parametrize("error", NETWORK_ERRORS)
def test_a_network_error_is_tried_again_until_the_budget_is_spent(error: ErrorCode) -> None:
    assert after(2, error=error) == RetryLater(30)
    assert after(9, error=error) == GiveUp(error)


def test_a_receiver_that_is_gone_is_not_asked_again() -> None:
    assert after(1, status=410, retry_after="5") == GiveUp("status 410")


@pytest.mark.parametrize("error", ["refused_url", "refused_address"])
def test_what_the_guard_refused_is_not_tried_again(error: ErrorCode) -> None:
    assert after(1, error=error) == GiveUp(error)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_retry_after_in_seconds_is_a_floor(status: int) -> None:
    assert after(1, status=status, retry_after="90") == RetryLater(90)
    assert after(3, status=status, retry_after="90") == RetryLater(120)


@pytest.mark.parametrize("status", [400, 500, 307])
def test_a_retry_after_of_another_status_is_not_looked_at(status: int) -> None:
    assert after(1, status=status, retry_after="90") == RetryLater(5)


@pytest.mark.parametrize("asked", ["3601", "86400", "9" * 30, "Sun, 01 Mar 2036 12:00:00 GMT"])
def test_a_retry_after_is_honoured_for_at_most_an_hour(asked: str) -> None:
    assert after(1, status=503, retry_after=asked) == RetryLater(3600)
    assert after(6, status=503, retry_after=asked) == RetryLater(10_800)


@given(attempt=st.integers(1, 8), jitter=jitters)
def test_a_delay_moves_by_at_most_a_fifth(attempt: int, jitter: float) -> None:
    base = DEFAULT_POLICY.delays[attempt - 1]
    verdict = after(attempt, status=500, jitter=jitter)
    assert isinstance(verdict, RetryLater)
    assert base * 0.8 <= verdict.after_seconds <= base * 1.2


def test_the_jitter_uses_the_whole_range() -> None:
    assert after(1, status=500, jitter=0) == RetryLater(4)
    verdict = after(1, status=500, jitter=0.999)
    assert isinstance(verdict, RetryLater)
    assert verdict.after_seconds == pytest.approx(6, abs=0.01)


@given(policy=policies, outcome=outcomes, jitter=jitters, data=st.data())
def test_every_delay_is_within_its_bounds(
    policy: RetryPolicy, outcome: Attempt, jitter: float, data: st.DataObject
) -> None:
    attempt = data.draw(st.integers(1, policy.max_attempts))
    verdict = next_attempt(attempt, outcome, jitter=jitter, now=NOW, policy=policy)
    if isinstance(verdict, RetryLater):
        base = policy.delays[attempt - 1]
        longest = max(base * (1 + policy.spread), policy.retry_after_cap)
        assert base * (1 - policy.spread) * 0.999 <= verdict.after_seconds <= longest


@given(policy=policies, answers=st.lists(outcomes, min_size=1), jitter=jitters)
def test_a_delivery_ends_within_its_budget_whatever_the_receiver_answers(
    policy: RetryPolicy, answers: list[Attempt], jitter: float
) -> None:
    attempt = 1
    while isinstance(
        next_attempt(
            attempt, answers[attempt % len(answers)], jitter=jitter, now=NOW, policy=policy
        ),
        RetryLater,
    ):
        attempt += 1
    assert attempt <= policy.max_attempts


@given(attempt=st.integers(9, 10_000), outcome=outcomes)
def test_nothing_is_tried_again_once_the_budget_is_spent(attempt: int, outcome: Attempt) -> None:
    assert not isinstance(next_attempt(attempt, outcome, jitter=0, now=NOW), RetryLater)


def test_a_policy_without_delays_tries_once() -> None:
    once = RetryPolicy(delays=())
    verdict = next_attempt(1, Attempt(error="timeout"), jitter=0, now=NOW, policy=once)
    assert verdict == GiveUp("timeout")


@pytest.mark.parametrize(("attempt", "jitter"), [(0, 0.5), (-1, 0.5), (1, 1.0), (1, -0.1)])
def test_attempts_count_from_one_and_jitter_is_a_fraction(attempt: int, jitter: float) -> None:
    with pytest.raises(ValueError, match="attempts count from 1"):
        after(attempt, status=500, jitter=jitter)


@pytest.mark.parametrize(
    "settings",
    [
        {"delays": (-1.0,)},
        {"delays": (float("inf"),)},
        {"delays": (float("nan"),)},
        {"spread": 1.0},
        {"spread": -0.1},
        {"retry_after_cap": -1.0},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="retry policy"):
        RetryPolicy(**settings)  # type: ignore[arg-type] # wrong on purpose


def test_an_attempt_has_a_status_or_an_error_and_never_both() -> None:
    for status, error in ((None, None), (200, "timeout")):
        with pytest.raises(ValueError, match="status or with an error"):
            Attempt(status=status, error=error)  # type: ignore[arg-type] # wrong on purpose
