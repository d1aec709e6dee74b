"""Shared by the provisioner's tests: intents, a story without I/O, and its readable tale."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from busbar.backends.port import Observation, Outcome, Presence
from busbar.kernel.expressions import TemplateError
from busbar.kernel.ids import operation_id
from busbar.messages.base import IntentRef, Message, OperationFact
from busbar.messages.plan import Action, Plan, PlanStep, PromiseRef
from busbar.messages.policy import IntentAllowed
from busbar.messages.resource import (
    ResourceDeleted,
    ResourceFailed,
    ResourceProvisioned,
    ResourceQueued,
    ResourceStuck,
    StepFailed,
    StepStarted,
    StepSucceeded,
    StepUndone,
)
from busbar.provisioner.domain import (
    Command,
    Ensure,
    Finish,
    Remove,
    ResourceState,
    decide_finished,
    decide_observed,
    decide_outcome,
    decide_queued,
    decide_unplannable,
    evolve,
    next_command,
)

RESOURCE = "payments/dev/thing/orders"
SOURCE = "urn:team:payments"
CORRELATION = "correlation-1"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TERMINAL = (ResourceProvisioned, ResourceDeleted, ResourceFailed)
Inputs = dict[str, Any]


def step(
    name: str, /, *, when: str | None = None, adapter: str = "memory", **inputs: Any
) -> PlanStep:
    """A step that makes ``orders-<name>`` in the size that the spec asks for."""
    asked = {"name": f"orders-{name}", "size": "${spec.size}", **inputs}
    return PlanStep(name=name, adapter=adapter, inputs=asked, when=when, ready_within_seconds=1)


def plan(*steps: PlanStep | str, outputs: Mapping[str, str] | None = None) -> Plan:
    """A plan of ``steps``; a name is the step that :func:`step` makes of it."""
    made = tuple(step(one) if isinstance(one, str) else one for one in steps)
    return Plan(steps=made, outputs=dict(outputs or {}))


def allowed(
    number: int,
    asked: Plan | None = None,
    *,
    action: Action = "apply",
    resource: str = RESOURCE,
    **spec: Any,
) -> IntentAllowed:
    """The ``number``-th intent that policy allowed; by default two steps of size 1."""
    return IntentAllowed(
        operation=operation_id(SOURCE, str(number)),
        resource=resource,
        intent=IntentRef(source=SOURCE, id=str(number), type="busbar.resource.apply.v1"),
        requested={},
        action=action,
        generation=number,
        promise=PromiseRef(name="thing", version="v1", digest="sha256:" + "0" * 64),
        spec={"size": 1, **spec},
        plan=asked or plan("a", "b"),
        policies="sha256:" + "1" * 64,
        rules=(),
    )


def tale(facts: Iterable[Message]) -> list[str]:
    """The facts in a few words each."""
    return [_word(fact) for fact in facts]


def _word(fact: Message) -> str:
    match fact:
        case ResourceQueued():
            return f"queued {fact.generation}"
        case StepStarted():
            return f"{fact.action} {fact.step}"
        case StepSucceeded():
            return f"done {fact.step}" if fact.changed else f"kept {fact.step}"
        case StepFailed():
            return f"failed {fact.step} {fact.reason}" + ("!" if fact.permanent else "")
        case StepUndone():
            was = "restored" if fact.restored else "gone" if fact.was_there else "absent"
            return f"{was} {fact.step}"
        case ResourceProvisioned():
            return f"{fact.change} {fact.generation}"
        case ResourceDeleted():
            return f"deleted {fact.generation}"
        case ResourceFailed():
            return f"gave up {fact.generation}, left {fact.left}"
        case ResourceStuck():
            return f"stuck {fact.step} {fact.reason}"
        case _:
            return fact.TYPE


@dataclass
class Story:
    """The saga of one resource over a world of dictionaries: every turn is one command."""

    state: ResourceState = field(default_factory=ResourceState)
    facts: list[OperationFact] = field(default_factory=list)
    things: dict[str, tuple[str, Inputs]] = field(default_factory=dict)
    """By name: the step that owns it (or ``them``), and its inputs."""
    answers: dict[str, list[Outcome]] = field(default_factory=dict)
    """By name: what the next calls answer instead of doing it."""
    unready: set[str] = field(default_factory=set)
    epoch: int = 1
    overdue: bool = False

    def record(self, *facts: OperationFact) -> None:
        self.facts += facts
        for fact in facts:
            self.state = evolve(self.state, fact)

    def ask(self, *asked: IntentAllowed) -> "Story":
        for one in asked:
            facts = decide_queued(self.state, one, correlation=CORRELATION, traceparent=TRACE)
            self.record(*facts)
        return self

    @property
    def command(self) -> Command | None:
        return next_command(self.state)

    def turn(self) -> list[str]:
        """Do the next command, and return what was recorded."""
        before = len(self.facts)
        try:
            command = self.command
        except TemplateError as error:
            self.record(*decide_unplannable(self.state, error, epoch=self.epoch))
            command = None
        if isinstance(command, Finish):
            self.record(*decide_finished(self.state))
        elif command is not None:
            self._perform(command)
        return tale(self.facts[before:])

    def work(self, *, turns: int = 60) -> list[str]:
        """Turn until nothing is left to do or nothing changes; return what was recorded."""
        before = len(self.facts)
        for _ in range(turns):
            if self.state.saga is None or not self.turn():
                return tale(self.facts[before:])
        raise AssertionError(f"it never ends: {tale(self.facts[before:])}")

    def saw(self, command: Ensure | Remove, inputs: Mapping[str, Any]) -> Observation:
        """Return the observation of an adapter."""
        name = str(inputs["name"])
        if name not in self.things:
            return Observation(presence=Presence.ABSENT)
        owner, has = self.things[name]
        if owner != command.step:
            return Observation(presence=Presence.FOREIGN, detail=f"{name} is not ours")
        differs = tuple(key for key in sorted(has) if has[key] != inputs.get(key))
        ready = command.step not in self.unready
        return Observation(presence=Presence.OURS, ready=ready, differs=differs, outputs=has)

    def _perform(self, command: Ensure | Remove) -> None:
        before = self.state.previously(command.step)
        is_there = before is not None and before.adapter == command.adapter
        known = len(self.facts)
        self.record(
            *decide_observed(
                self.state,
                command,
                self.saw(command, command.inputs),
                epoch=self.epoch,
                overdue=self.overdue,
                previous=self.saw(command, before.inputs) if before and is_there else None,
            )
        )
        if not any(isinstance(fact, StepStarted) for fact in self.facts[known:]):
            return
        outcome = self._act(command)
        self.record(*decide_outcome(self.state, command, outcome, epoch=self.epoch))
        if outcome.result.value != "done":
            self.epoch += 1  # a waiting task resumes under a new lease

    def _act(self, command: Ensure | Remove) -> Outcome:
        name = str(command.inputs["name"])
        if self.answers.get(name):
            return self.answers[name].pop(0)
        if isinstance(command, Remove):
            self.things.pop(name, None)
        else:
            self.things[name] = (command.step, dict(command.inputs))
        return Outcome.done()


def refused(*, permanent: bool = True) -> Outcome:
    """The backend says no."""
    return Outcome.not_done("refused", "the world said no", permanent=permanent)


def provisioned(*names: str) -> Story:
    """A story that has got as far as generation 1 with steps called ``names``, of size 1."""
    story = Story().ask(allowed(1, plan(*names)))
    assert story.work()[-1] == "created 1"
    story.facts.clear()
    return story
