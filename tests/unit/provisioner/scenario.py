"""Shared by the provisioner's tests: intents, a story without I/O, and its readable tale."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from busbar.backends.port import Observation, Outcome, Presence, Result
from busbar.kernel.expressions import TemplateError
from busbar.kernel.ids import operation_id
from busbar.messages.base import IntentRef, Message, OperationFact
from busbar.messages.delayed import ResourceDelayed
from busbar.messages.intervention import (
    Intervened,
    Intervention,
    InterventionAllowed,
    OperationAbandoned,
    ResourceReleased,
)
from busbar.messages.plan import Action, Plan, PlanStep, PromiseRef
from busbar.messages.policy import IntentAllowed
from busbar.messages.resource import (
    ResourceDeleted,
    ResourceFailed,
    ResourceProvisioned,
    ResourceQueued,
    ResourceStuck,
    StepFailed,
    StepRetained,
    StepStarted,
    StepSucceeded,
    StepUndone,
)
from busbar.provisioner.domain import (
    Command,
    Ensure,
    Finish,
    Look,
    Remove,
    ResourceState,
    Turn,
    decide_finished,
    decide_intervention,
    decide_looked,
    decide_observed,
    decide_outcome,
    decide_queued,
    decide_unplannable,
    decide_waiting,
    evolve,
    needs_newer_epoch,
    next_command,
)

RESOURCE = "payments/dev/thing/orders"
SOURCE = "urn:team:payments"
CORRELATION = "correlation-1"
ASKED = "payments-ci"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
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


def intervention(
    action: Intervention, target: int | None = None, *, id_: str = "intervene"
) -> InterventionAllowed:
    """An intervention that policy allowed, about the operation of the ``target``-th intent."""
    return InterventionAllowed(
        operation=operation_id(SOURCE, id_),
        resource=RESOURCE,
        intent=IntentRef(source=SOURCE, id=id_, type=f"busbar.resource.{action}.v1"),
        requested={},
        action=action,
        target=None if target is None else operation_id(SOURCE, str(target)),
    )


def tale(facts: Iterable[Message]) -> list[str]:
    """The facts in a few words each."""
    return [_word(fact) for fact in facts]


def _word(fact: Message) -> str:
    match fact:
        case ResourceQueued():
            return f"{'joined' if fact.joins else 'queued'} {fact.generation}"
        case StepStarted():
            return f"{fact.action} {fact.step}"
        case StepSucceeded():
            return f"done {fact.step}" if fact.changed else f"kept {fact.step}"
        case StepFailed():
            return f"failed {fact.step} {fact.reason}" + ("!" if fact.permanent else "")
        case StepUndone():
            was = "restored" if fact.restored else "gone" if fact.was_there else "absent"
            return f"{was} {fact.step}"
        case StepRetained():
            return f"left {fact.step} {fact.presence}"
        case ResourceProvisioned():
            return f"{fact.change} {fact.generation}"
        case ResourceDeleted():
            return f"deleted {fact.generation}"
        case ResourceFailed():
            return f"gave up {fact.generation}, left {fact.left}"
        case ResourceStuck():
            return f"stuck {fact.step} {fact.reason}"
        case _:
            return _intervention_word(fact)


def _intervention_word(fact: Message) -> str:
    match fact:
        case ResourceDelayed():
            return f"waits for {fact.step}"
        case OperationAbandoned():
            return fact.reason
        case Intervened():
            return f"{fact.action}: {fact.detail}"
        case ResourceReleased():
            return "released"
        case _:
            return fact.TYPE


@dataclass
class Story:
    """The saga of one resource over a world of dictionaries: every turn is one command."""

    state: ResourceState = field(default_factory=ResourceState)
    facts: list[OperationFact] = field(default_factory=list)
    things: dict[str, tuple[str, Inputs]] = field(default_factory=dict)
    """By name: the step that owns it (or ``them``), and its inputs."""
    confirmed: tuple[int, str] = (0, "")
    """The epoch and the operation key of the last call that was confirmed."""
    time: datetime = NOW
    late: timedelta | None = None
    """How late the world may act; None: it refuses older epochs."""
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
            facts = decide_queued(
                self.state, one, correlation=CORRELATION, traceparent=TRACE, onbehalfof=ASKED
            )
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
            self.record(*decide_unplannable(self.state, error, self.now))
            command = None
        if isinstance(command, Finish):
            self.record(*decide_finished(self.state))
        elif isinstance(command, Look):
            self.record(
                *decide_looked(self.state, command, self.saw(command, command.inputs), self.now)
            )
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

    @property
    def now(self) -> Turn:
        """The lease and the time of this turn."""
        try:
            command = self.command
        except TemplateError:
            command = None
        key = "" if command is None or isinstance(command, Finish | Look) else command.operation_key
        return Turn(
            epoch=self.epoch,
            now=self.time,
            confirmed=(self.epoch, key) == self.confirmed,
            settles_at=self.time + self.late if self.late is not None else None,
        )

    def intervene(
        self, action: Intervention, target: int | None = None, *, id_: str = "i"
    ) -> "Story":
        """Carry out an intervention about the operation of the ``target``-th intent."""
        self.record(*decide_intervention(self.state, intervention(action, target, id_=id_)))
        return self

    def saw(self, command: Ensure | Remove | Look, inputs: Mapping[str, Any]) -> Observation:
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
        if needs_newer_epoch(self.state, command, self.epoch):
            self.epoch += 1
        if command.settles_at is not None and command.settles_at > self.time:
            self.record(*decide_waiting(self.state, command, self.now))
            self.time = command.settles_at
            return
        before = self.state.previously(command.step)
        is_there = before is not None and before.adapter == command.adapter
        known = len(self.facts)
        self.record(
            *decide_observed(
                self.state,
                command,
                self.saw(command, command.inputs),
                self.now,
                overdue=self.overdue,
                previous=self.saw(command, before.inputs) if before and is_there else None,
            )
        )
        if not any(isinstance(fact, StepStarted) for fact in self.facts[known:]):
            return
        seen, outcome = self.saw(command, command.inputs), self._act(command)
        if outcome.result is Result.DONE:
            self.confirmed = (self.epoch, command.operation_key)
        if outcome.result is Result.NOT_DONE:
            is_ours = seen.presence is Presence.OURS
            after = self.saw(command, command.inputs) if is_ours else None
            seen_and_after = {"seen": seen, "after": after}
            facts = decide_outcome(
                self.state, command, outcome, self.now, answered=True, **seen_and_after
            )
            self.record(*facts)
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
