"""Errors that the store raises on every database."""

from busbar.kernel.errors import BusbarError, Conflict


class StoreUnavailable(BusbarError, ConnectionError):
    """The database is unreachable or ended the connection; the same call may succeed later."""


class Collision(Conflict):
    """Two transactions collided on a stream or a row; retry with the streams locked beforehand."""
