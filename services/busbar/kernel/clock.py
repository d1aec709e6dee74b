"""Time as an argument: pure code never reads a clock."""

from datetime import UTC, datetime
from typing import Protocol

import orjson


class Clock(Protocol):
    """Tells the time and waits; the real one is ``runtime.clock.SystemClock``."""

    def now(self) -> datetime:
        """The current moment, aware, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds``."""
        ...


def format_time(moment: datetime) -> str:
    """``moment`` as RFC 3339 in UTC with microseconds, so that text order is time order."""
    utc = moment.astimezone(UTC)
    if type(utc) is datetime and utc.microsecond:
        # orjson spells it the same in a quarter of the time, but leaves out zero microseconds.
        return orjson.dumps(utc, option=orjson.OPT_UTC_Z)[1:-1].decode()
    return utc.isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """The aware moment that :func:`format_time` wrote.

    Raises:
        ValueError: ``text`` is not such a timestamp.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset")
    return moment.astimezone(UTC)
