"""Calls whose backend may still carry them out, although they were not answered; pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from busbar.messages.base import Message
from busbar.messages.resource import (
    StepFailed,
    StepRetained,
    StepStarted,
    StepSucceeded,
    StepUndone,
)


class Unsettled(NamedTuple):
    """A call that was not answered, so that its backend may still carry it out."""

    step: str
    adapter: str
    inputs: Mapping[str, Any]
    removes: bool
    operation_key: str
    epoch: int
    until: datetime | None
    """After this it will not be; None: once a call with a newer epoch is confirmed."""
    under_way: bool
    """True for the last call, whose answer may still be recorded."""

    @property
    def effect(self) -> tuple[str, str]:
        """The step and the operation key: what all attempts at one effect share."""
        return self.step, self.operation_key

    def is_late(self, now: datetime) -> bool:
        """Return whether it may still be carried out at ``now``."""
        return self.until is None or self.until > now


Calls = tuple[Unsettled, ...]


def unsettled_after(calls: Calls, fact: Message) -> Calls:
    """Return the calls that may still be carried out after ``fact``."""
    match fact:
        case StepStarted():
            return _started(calls, fact)
        case StepFailed(refused=True) | StepRetained(refused=True):
            return tuple(one for one in calls if not (one.under_way and one.step == fact.step))
        case StepSucceeded() | StepUndone():
            return _reached(calls, fact)
        case StepRetained():
            return tuple(one._replace(under_way=False) for one in calls)
        case _:
            return calls


def _started(calls: Calls, fact: StepStarted) -> Calls:
    """Add the call; earlier ones to the same object are not answered any more."""
    new = Unsettled(
        step=fact.step,
        adapter=fact.adapter,
        inputs=fact.inputs,
        removes=fact.action == "remove",
        operation_key=fact.operation_key,
        epoch=fact.epoch,
        until=fact.settles_at,
        under_way=True,
    )
    same = [one for one in calls if one.effect == new.effect]
    others = [one._replace(under_way=False) for one in calls if one.effect != new.effect]
    return (*others, *_merged(same), new)


def _merged(same: Sequence[Unsettled]) -> list[Unsettled]:
    """Return the attempts at one effect as one call: the latest that may still be carried out."""
    if not same:
        return []
    untils = [one.until for one in same if one.until is not None]
    newest = max(same, key=lambda one: one.epoch)
    until = max(untils) if len(untils) == len(same) else None
    return [newest._replace(until=until, under_way=False)]


def _reached(calls: Calls, fact: StepSucceeded | StepUndone) -> Calls:
    """Drop what has been carried out.

    The last call was if the backend confirmed it, or if it was the only attempt: nothing else can
    have made what is observed now.
    """
    kept = []
    for one in calls:
        attempts = sum(other.effect == one.effect for other in calls)
        done = (fact.confirmed or attempts == 1) if one.under_way else fact.settled
        if one.step != fact.step or not done:
            kept.append(one._replace(under_way=one.under_way and one.step != fact.step))
    return tuple(kept)


def contrary(
    calls: Calls, step: str, *, operation_key: str, inputs: Mapping[str, Any] | None
) -> Calls:
    """Return the calls that would change a step from what it is to be.

    ``inputs`` are those that it is to have, None if it is to be gone; attempts at the effect with
    this ``operation_key`` change nothing any more.
    """
    return tuple(
        one
        for one in calls
        if one.step == step
        and one.operation_key != operation_key
        and (not one.removes if inputs is None else one.removes or one.inputs != inputs)
    )
