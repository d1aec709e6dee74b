from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.kernel.retry_after import http_date, retry_after_seconds

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        (" 120 ", 120),
        ("Sun, 01 Mar 2026 12:05:00 GMT", 300),
        ("Sunday, 01-Mar-26 12:05:00 GMT", 300),
        ("Sun Mar  1 12:05:00 2026", 300),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("\N{ARABIC-INDIC DIGIT FIVE}", None),
        ("soon", None),
        ("Sun, 01 Mar 99999 12:05:00 GMT", None),
    ],
)
def test_a_retry_after_is_read_in_every_form_of_rfc_9110(
    header: str, seconds: float | None
) -> None:
    assert retry_after_seconds(header, now=NOW) == seconds


@given(seconds=st.integers(0, 10**8))
def test_a_retry_after_reads_the_same_as_seconds_and_as_a_date(seconds: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after_seconds(date, now=NOW) == retry_after_seconds(str(seconds), now=NOW)


@given(header=st.text())
def test_no_retry_after_is_negative_or_crashes(header: str) -> None:
    seconds = retry_after_seconds(header, now=NOW)
    assert seconds is None or seconds >= 0


def test_a_date_without_a_clock_to_compare_it_with_gives_nothing() -> None:
    assert retry_after_seconds("Sun, 01 Mar 2026 12:05:00 GMT", now=None) is None
    assert retry_after_seconds("5", now=None) == 5


@given(text=st.text())
def test_every_date_that_is_read_has_a_zone(text: str) -> None:
    date = http_date(text)
    assert date is None or date.tzinfo is not None
