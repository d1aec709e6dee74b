"""States that were folded before, so that a long stream is not read again from its beginning.

Streams are append-only: what was folded up to an event stays right for as long as that event is
there under its version. Whoever uses an entry reads that event again, with all that follow, so a
database that was set back to a backup is noticed.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

MAX_STATES = 2000
"""States that a process keeps; mostly a few kilobytes each."""

MAX_EVENT_CHARS = 64 * 1024
"""States of streams with a larger event are not kept: two thousand of those would be too much."""

Evolve = Callable[[Any, Any], Any]


class CachedState(NamedTuple):
    """The state of a stream after the event with this ``version`` and ``id``.

    It is ``state`` with the ``tail`` folded in, which is done when somebody asks for it: mostly
    nobody does any more.
    """

    evolve: Evolve
    version: int
    id: str
    state: Any
    tail: Sequence[Any] = ()
    largest: int = 0
    """The characters of the largest event that is in it."""


class StateCache:
    """The states that were used last."""

    def __init__(self, limit: int = MAX_STATES) -> None:
        """Keep ``limit`` of them."""
        self._limit = limit
        self._known: OrderedDict[str, CachedState] = OrderedDict()

    def get(self, stream: str) -> CachedState | None:
        """What is known of ``stream``."""
        found = self._known.get(stream)
        if found is not None:
            self._known.move_to_end(stream)
        return found

    def put(self, stream: str, folded: CachedState) -> None:
        """Remember ``folded`` if it is not large; forget what was not used for the longest time."""
        if folded.largest > MAX_EVENT_CHARS:
            self._known.pop(stream, None)
            return
        self._known[stream] = folded
        self._known.move_to_end(stream)
        if len(self._known) > self._limit:
            self._known.popitem(last=False)
