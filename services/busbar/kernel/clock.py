"""Time as an argument: pure code never reads a clock."""

from datetime import UTC, datetime
from typing import Protocol

import orjson


class Clock(Protocol):
    """A source of time that can also wait; the real one is ``runtime.core.clock.SystemClock``."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds``."""
        ...


def format_time(time: datetime) -> str:
    """Return ``time`` as RFC 3339 in UTC with microseconds: text order is time order."""
    utc = time.astimezone(UTC)
    if type(utc) is datetime and utc.microsecond:
        # orjson gives the same text in a quarter of the time, but omits zero microseconds.
        return orjson.dumps(utc, option=orjson.OPT_UTC_Z)[1:-1].decode()
    return utc.isoformat(timespec="microseconds").replace("+00:00", "Z")


def time_of(milliseconds: int) -> datetime | None:
    """Return the time of a Kafka timestamp (ms since 1970), or None if it is out of range.

    Producers choose this timestamp, so it can be any number.
    """
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def parse_time(text: str) -> datetime:
    """Return the aware time that :func:`format_time` wrote, in UTC.

    Raises:
        ValueError: ``text`` is not such a timestamp.
    """
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset; append Z or an offset such as +01:00")
    return time.astimezone(UTC)
