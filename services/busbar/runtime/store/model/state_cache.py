"""A cache of folded states, so that long streams are not read again from the beginning.

Streams are append-only: a state stays valid as long as the last event folded into it exists under
its version. Users of an entry read that event again, with all that follow, which detects a database
that was restored from a backup.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

from busbar.kernel.decide import Evolve

MAX_STATES = 2000
"""Maximum number of cached states; most have a few kilobytes."""

MAX_EVENT_CHARS = 64 * 1024
"""States of streams with a larger event are not cached: two thousand would not fit in memory."""


class CachedState(NamedTuple):
    """The state of a stream after the event with this ``version`` and ``id``.

    It is ``state`` with the ``tail`` folded in. Folding is deferred to the next load, as most
    states are not loaded again.
    """

    evolve: Evolve[Any, Any]
    version: int
    id: str
    state: Any
    tail: Sequence[Any] = ()
    largest: int = 0
    """The characters of the largest event folded into it."""


class StateCache:
    """A cache of states by stream, which evicts the least recently used ones."""

    def __init__(self, limit: int = MAX_STATES) -> None:
        self._limit = limit
        self._states: OrderedDict[str, CachedState] = OrderedDict()

    def get(self, stream: str) -> CachedState | None:
        """Return the cached state of ``stream``, or None if there is none."""
        found = self._states.get(stream)
        if found is not None:
            self._states.move_to_end(stream)
        return found

    def put(self, stream: str, cached: CachedState) -> None:
        """Cache the state of ``stream`` unless it is large; evict the least recently used one."""
        if cached.largest > MAX_EVENT_CHARS:
            self._states.pop(stream, None)
            return
        self._states[stream] = cached
        self._states.move_to_end(stream)
        if len(self._states) > self._limit:
            self._states.popitem(last=False)
