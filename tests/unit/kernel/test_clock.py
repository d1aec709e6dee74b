from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from busbar.kernel.clock import format_time, parse_time

ZONES = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
TIMES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC) | ZONES)  # noqa: DTZ001 - hypothesis adds the zone


class OtherTime(datetime):
    """A subclass of datetime, as test tools and date libraries have."""


def spelt(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@given(TIMES | TIMES.map(lambda time: time.replace(microsecond=0)))
def test_a_time_is_spelt_as_python_does_with_all_its_microseconds(time: datetime) -> None:
    text = format_time(time)
    assert text == spelt(time)
    assert len(text) == len("2026-01-31T12:00:00.000000Z")
    assert parse_time(text) == time


@given(TIMES, TIMES)
def test_the_order_of_the_texts_is_the_order_of_the_times(one: datetime, other: datetime) -> None:
    assert (format_time(one) < format_time(other)) == (one < other)


def test_a_time_of_another_class_is_spelt_the_same() -> None:
    time = OtherTime(2026, 1, 31, 12, 0, 0, 123_456, UTC)
    assert format_time(time) == "2026-01-31T12:00:00.123456Z"


def test_what_is_whole_in_utc_has_microseconds_all_the_same() -> None:
    odd = timezone(timedelta(microseconds=1))
    assert format_time(datetime(2026, 1, 31, 12, 0, 0, 1, odd)) == "2026-01-31T12:00:00.000000Z"
    assert format_time(datetime(2026, 1, 31, 12, tzinfo=odd)) == "2026-01-31T11:59:59.999999Z"
