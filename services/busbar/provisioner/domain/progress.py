"""The progress of a resource: its next command, and comparisons of two states; pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from busbar.backends.port import Outcome
from busbar.kernel.expressions import TemplateError
from busbar.messages.base import Fact, OperationFact
from busbar.messages.resource import ResourceStuck
from busbar.provisioner.domain.commands import Command, Effect, next_command
from busbar.provisioner.domain.facts import Turn
from busbar.provisioner.domain.state import ResourceState


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a resource and its next command, or the error that prevents one."""

    state: ResourceState
    command: Command | None
    problem: TemplateError | None = None
    confirmed: str = ""
    """The operation key of the last call that the backend confirmed under this lease."""
    unanswered: tuple[str, Outcome] | None = None
    """The operation key of the last call that had no clear answer, and what came instead."""

    @classmethod
    def of(cls, state: ResourceState) -> "Progress":
        """Return the progress at ``state``."""
        try:
            return cls(state, next_command(state))
        except TemplateError as error:
            return cls(state, None, error)


Decide = Callable[[ResourceState, Turn], Sequence[OperationFact]]
"""A decision of the provisioner; see ``decisions``."""

STUCK_RETRY_SECONDS: Final = (60.0, 24 * 3600.0)
"""Shortest and longest interval between attempts at a stuck operation; in between, an operation
waits as long as it has been stuck already, so that the interval doubles."""


def is_unchanged(before: ResourceState, after: ResourceState) -> bool:
    """Return whether nothing was recorded about the operation in between."""
    old, new = before.saga, after.saga
    if old is None or new is None:
        return old is new
    return (old.intent.operation, old.recorded) == (new.intent.operation, new.recorded)


def is_started(before: ResourceState, after: ResourceState, command: Effect) -> bool:
    """Return whether this transaction recorded the intent to act."""
    was = before.saga.step(command.step) if before.saga else None
    step = after.saga.step(command.step) if after.saga else None
    return step is not None and step.status == "started" and step != was


def is_stuck(state: ResourceState) -> bool:
    """Return whether the running operation is stuck."""
    return state.saga is not None and state.saga.stuck is not None


def has_to_wait(before: ResourceState, after: ResourceState) -> bool:
    """Return whether an attempt failed, or the operation is stuck and did not get further."""
    if before.saga is None or after.saga is None:
        return False
    if before.saga.intent.operation != after.saga.intent.operation:
        return False
    if after.saga.failures > before.saga.failures:
        return True
    is_same = is_unchanged(before, after) or after.saga.stuck != before.saga.stuck
    return after.saga.stuck is not None and is_same


def is_announced(state: ResourceState, fact: Fact) -> bool:
    """Return whether ``fact`` only gives another reason why an operation is stuck."""
    if not isinstance(fact, ResourceStuck) or not is_stuck(state):
        return False
    stuck = {one.intent.operation for one in state.joined if one.stuck is not None}
    return state.saga is not None and fact.operation in {state.saga.intent.operation, *stuck}


def joined_since(before: ResourceState, after: ResourceState) -> frozenset[UUID]:
    """Return the operations that joined in between."""
    known = {one.intent.operation for one in before.joined}
    return frozenset(one.intent.operation for one in after.joined) - known


def stuck_wait(stuck: ResourceStuck, now: datetime) -> float:
    """Return the seconds until a stuck operation is tried again."""
    shortest, longest = STUCK_RETRY_SECONDS
    return min(longest, max(shortest, (now - stuck.since).total_seconds()))


def if_same(at: Progress, decide: Decide) -> Decide:
    """Return ``decide``, which decides nothing if an intervention came in between."""

    def same(now: ResourceState, turn: Turn) -> Sequence[OperationFact]:
        if now.doing != at.state.doing:
            return []
        return decide(now, replace(turn, joined_since=joined_since(at.state, now)))

    return same


def nothing(_state: ResourceState, _turn: Turn) -> Sequence[OperationFact]:
    """Decide nothing."""
    return []
