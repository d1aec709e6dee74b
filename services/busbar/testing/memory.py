"""A backend in this process, over a :class:`MemoryWorld` that tests inspect and make fail.

The input ``name`` names a thing; every other input is stored unchanged. It is conditional: a write
with a lower epoch than the owner's highest is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from busbar.backends.port import (
    UNAVAILABLE,
    BackendUnavailable,
    Call,
    Environment,
    Fencing,
    Observation,
    Outcome,
    Presence,
)

Action = Literal["create", "update", "remove"]


@dataclass(slots=True, kw_only=True)
class Thing:
    """Something that exists. ``owner`` is its mark, or None if it has no mark."""

    owner: str | None
    inputs: dict[str, Any]
    unready_observations: int = 0
    """Number of observations that still find it not ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A change of the world that happened."""

    action: Action
    name: str
    owner: str
    operation_key: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """A fault: the next change is refused and does not happen."""

    permanent: bool = False
    detail: str = "the world refused"


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """A fault: the next change happens, but its answer is lost."""


@dataclass(frozen=True, slots=True)
class LoseRequest:
    """A fault: the next change does not happen, and the caller cannot know."""


Fault = Refuse | LoseAnswer | LoseRequest


@dataclass(slots=True)
class MemoryWorld:
    """All things, all effects on them, and the faults to come."""

    things: dict[str, Thing] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    """Consumed in order, one by each call that would change something."""
    refused: dict[str, Refuse] = field(default_factory=dict)
    """Refusals by name: every change of these things is refused."""
    unavailable: bool = False
    ready_after: int = 0
    """Number of observations that find a created or changed thing not ready."""
    epochs: dict[str, int] = field(default_factory=dict)
    """The highest epoch with which each owner wrote."""

    def fail(self, *faults: Fault) -> None:
        """Make the next changes fail, one per fault."""
        self.faults.extend(faults)

    def create_foreign(
        self, name: str, inputs: Mapping[str, Any], *, owner: str | None = None
    ) -> Thing:
        """Create a thing without the backend: without a mark, or with ``owner``'s."""
        self.things[name] = Thing(owner=owner, inputs=dict(inputs))
        return self.things[name]


class MemoryBackend:
    """Makes things in a world of its own, or in a given one that several backends may share."""

    fencing: Fencing = Fencing.CONDITIONAL

    def __init__(
        self,
        environment: Environment | None = None,  # noqa: ARG002 - every adapter takes one
        *,
        world: MemoryWorld | None = None,
    ) -> None:
        self.world = MemoryWorld() if world is None else world

    async def observe(self, call: Call) -> Observation:
        """Return the state; only the count of observations until ready changes.

        Raises:
            BackendUnavailable: the world is ``unavailable``.
        """
        if self.world.unavailable:
            raise BackendUnavailable("the world is unavailable")
        thing = self.world.things.get(_name(call))
        if thing is None:
            return Observation(presence=Presence.ABSENT)
        if thing.owner != call.owner:
            mark = "no mark" if thing.owner is None else "another owner's mark"
            detail = f"{_name(call)} exists and has {mark}"
            return Observation(presence=Presence.FOREIGN, detail=detail)
        ready = thing.unready_observations == 0
        thing.unready_observations -= not ready
        return Observation(
            presence=Presence.OURS,
            ready=ready,
            differs=_differs(thing.inputs, call.inputs),
            outputs=dict(thing.inputs),
            detail="" if ready else "it is not ready yet",
        )

    async def apply(self, call: Call) -> Outcome:
        """Create the thing with our mark, or update ours. Without a difference nothing happens."""
        name = _name(call)
        if not name:
            return Outcome.not_done(
                "invalid_inputs", "name: it has to be a non-empty text", permanent=True
            )
        thing = self.world.things.get(name)
        if thing is not None and thing.owner == call.owner and thing.inputs == dict(call.inputs):
            return self._refusal(call, thing) or self._unchanged(call)
        return self._change(call, "create" if thing is None else "update")

    async def remove(self, call: Call) -> Outcome:
        """Remove the thing if it is ours."""
        thing = self.world.things.get(_name(call))
        if thing is None:
            return self._refusal(call, thing) or self._unchanged(call)
        return self._change(call, "remove")

    async def close(self) -> None:
        """Do nothing: there is no connection."""

    def _unchanged(self, call: Call) -> Outcome:
        """Remember the epoch, so that an older call is refused although nothing was to be done."""
        self.world.epochs[call.owner] = call.epoch
        return Outcome.done()

    def _refusal(self, call: Call, thing: Thing | None) -> Outcome | None:
        """Return the outcome of a call that may not change anything, or None if it may."""
        if self.world.unavailable:
            return Outcome.not_done(UNAVAILABLE, "the world is unavailable", permanent=False)
        highest = self.world.epochs.get(call.owner, call.epoch)
        if call.epoch < highest:
            detail = f"epoch {call.epoch} is over, the owner's is {highest}"
            return Outcome.not_done("fenced", detail, permanent=False)
        if thing is not None and thing.owner != call.owner:
            return Outcome.not_done("not_ours", f"{_name(call)} is not ours", permanent=True)
        return None

    def _change(self, call: Call, action: Action) -> Outcome:
        name, world = _name(call), self.world
        refusal = self._refusal(call, world.things.get(name))
        if refusal is not None:
            return refusal
        fault = world.refused.get(name) or (world.faults.pop(0) if world.faults else None)
        match fault:
            case Refuse(permanent=permanent, detail=detail):
                return Outcome.not_done("refused", detail, permanent=permanent)
            case LoseRequest():
                return Outcome.unknown("answer_lost", "the request was lost")
            case _:
                self._carry_out(call, action)
        if fault is None:
            return Outcome.done()
        return Outcome.unknown("answer_lost", "the answer was lost")

    def _carry_out(self, call: Call, action: Action) -> None:
        name, world = _name(call), self.world
        if action == "remove":
            del world.things[name]
        else:
            world.things[name] = Thing(
                owner=call.owner,
                inputs=dict(call.inputs),
                unready_observations=world.ready_after,
            )
        world.epochs[call.owner] = call.epoch
        world.effects.append(
            Effect(
                action=action,
                name=name,
                owner=call.owner,
                operation_key=call.operation_key,
                epoch=call.epoch,
            )
        )


def _name(call: Call) -> str:
    name = call.inputs.get("name")
    return name if isinstance(name, str) else ""


def _differs(has: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[str, ...]:
    missing = object()
    return tuple(
        key
        for key in sorted(has.keys() | wanted.keys())
        if has.get(key, missing) != wanted.get(key, missing)
    )
