"""Errors that the store raises on every database."""

from busbar.kernel.errors import Conflict
from busbar.runtime.core.unavailable import Unavailable


class StoreUnavailable(Unavailable):
    """The database is unreachable or ended the connection; the same call may succeed later."""


class StoreFull(StoreUnavailable):
    """The disk of the database is full; the same call succeeds once there is space."""

    is_full = True


class Collision(Conflict):
    """Two transactions collided on a stream or a row; retry with the streams locked beforehand."""
