"""Folding: the state that a stream of events leads to.

Every decision has the form ``decide(state, message) -> events`` and ``evolve(state, event)``.
Both are pure: no clock, no randomness, no I/O; time, ids and inputs are arguments. Replaying a
stream therefore gives the same state, byte for byte.
"""

from collections.abc import Callable, Iterable
from functools import reduce
from typing import TypeVar

State = TypeVar("State")
Event = TypeVar("Event")

Evolve = Callable[[State, Event], State]
"""``evolve(state, event) -> state``: total; events that it does not know change nothing."""


def fold(evolve: Evolve[State, Event], initial: State, events: Iterable[Event]) -> State:
    """Return the state that ``events``, oldest first, lead to from ``initial``."""
    return reduce(evolve, events, initial)
