from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from busbar.kernel.clock import format_time, parse_time

ZONES = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC) | ZONES)  # noqa: DTZ001 - hypothesis adds the zone


class Moment(datetime):
    """What test tools and date libraries make of a time."""


def spelt(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@given(MOMENTS | MOMENTS.map(lambda moment: moment.replace(microsecond=0)))
def test_a_time_is_spelt_as_python_does_with_all_its_microseconds(moment: datetime) -> None:
    text = format_time(moment)
    assert text == spelt(moment)
    assert len(text) == len("2026-01-31T12:00:00.000000Z")
    assert parse_time(text) == moment


@given(MOMENTS, MOMENTS)
def test_the_order_of_the_texts_is_the_order_of_the_times(one: datetime, other: datetime) -> None:
    assert (format_time(one) < format_time(other)) == (one < other)


def test_a_time_of_another_class_is_spelt_the_same() -> None:
    moment = Moment(2026, 1, 31, 12, 0, 0, 123_456, UTC)
    assert format_time(moment) == "2026-01-31T12:00:00.123456Z"


def test_what_is_whole_in_utc_has_microseconds_all_the_same() -> None:
    odd = timezone(timedelta(microseconds=1))
    assert format_time(datetime(2026, 1, 31, 12, 0, 0, 1, odd)) == "2026-01-31T12:00:00.000000Z"
    assert format_time(datetime(2026, 1, 31, 12, tzinfo=odd)) == "2026-01-31T11:59:59.999999Z"
