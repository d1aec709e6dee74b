from hypothesis import given
from hypothesis import strategies as st

from busbar.kernel.backoff import Backoff

POLICY = Backoff(first=0.5, longest=10.0)


def test_delays_double_up_to_the_longest() -> None:
    assert [POLICY.delay(failures) for failures in range(1, 7)] == [0.5, 1, 2, 4, 8, 10]


def test_no_failure_waits_like_the_first() -> None:
    assert POLICY.delay(0) == POLICY.delay(1)


@given(failures=st.integers(0, 10**9), jitter=st.floats(0, 1, exclude_max=True))
def test_jitter_takes_at_most_half_of_the_delay(failures: int, jitter: float) -> None:
    whole = POLICY.delay(failures)
    assert whole / 2 <= POLICY.delay(failures, jitter=jitter) <= whole
