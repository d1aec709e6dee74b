"""The error of a database or broker that cannot serve now."""

from busbar.kernel.errors import BusbarError


class Unavailable(BusbarError, ConnectionError):
    """A peer is unreachable or cannot serve now; the same call may succeed later."""

    is_full = False
    """True if it cannot write because its disk is full."""

    def __init__(self, text: str, *, reason: str | None = None) -> None:
        """Say ``text``; ``reason`` is the part of it that says why, by default all of it."""
        super().__init__(text)
        self.reason = reason or text
