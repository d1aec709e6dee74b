"""The shape of every decision: ``decide(state, message) -> events`` and ``evolve(state, event)``.

Both are pure: no clock, no randomness, no I/O; time, ids and inputs are arguments. Replaying a
stream therefore gives the same state, byte for byte.
"""

from collections.abc import Callable, Iterable
from functools import reduce
from typing import TypeVar

State = TypeVar("State")
Event = TypeVar("Event")

Evolve = Callable[[State, Event], State]
"""``evolve(state, event) -> state``: total, and quiet about events it does not know."""


def fold(evolve: Callable[[State, Event], State], initial: State, events: Iterable[Event]) -> State:
    """The state that ``events``, oldest first, lead to from ``initial``."""
    return reduce(evolve, events, initial)
