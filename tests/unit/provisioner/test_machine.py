"""The invariants hold for any intents, any failures and any crashes."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from copy import deepcopy
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from busbar.kernel.decide import fold
from busbar.messages.plan import Plan
from busbar.messages.resource import (
    ResourceQueued,
    ResourceStuck,
    StepRetained,
    StepStarted,
    StepSucceeded,
    StepUndone,
)
from busbar.provisioner.domain import ResourceState, evolve
from busbar.testing.memory import LoseAnswer, LoseRequest, Refuse, Thing
from unit.provisioner.ledger import Platform
from unit.provisioner.scenario import RESOURCE, TERMINAL, allowed, plan, step

T = TypeVar("T")
STEPS = ("a", "b", "c", "d")
NAMES = tuple(f"orders-{name}" for name in STEPS)
FAULTS = st.sampled_from([LoseAnswer(), LoseRequest(), Refuse(), Refuse(permanent=True)])


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """One to four steps, some under a condition, some fed by the one before."""
    made = []
    for name in draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=4, unique=True)):
        when = draw(st.sampled_from([None, None, "${spec.more}", "!${spec.more}"]))
        inputs: dict[str, str] = {}
        if draw(st.integers(0, 3)) == 0:
            inputs |= draw(st.sampled_from([{"size": "fixed"}, {"bad": "${spec.nowhere}"}]))
        if draw(st.integers(0, 3)) == 0:
            inputs["name"] = f"orders-{name}-elsewhere"  # another identity
        made.append(step(name, when=when, **inputs))
    return plan(*made, outputs={"a": "${steps.a.name}"})


class Sagas(RuleBasedStateMachine):
    """One resource, asked of, worked on, killed and disturbed."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.platform = Platform()
        self.world = self.platform.world
        self.asked = 0
        self.foreign: dict[str, Thing] = {}
        self.disturbed: set[str] = set()
        """Names where another party has removed a thing of ours."""

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    # -- what is asked for ----------------------------------------------------------------------

    @rule(asked=plans(), size=st.integers(1, 3), more=st.booleans())
    def apply(self, asked: Plan, size: int, *, more: bool) -> None:
        self.asked += 1
        self.run(self.platform.ask(allowed(self.asked, asked, size=size, more=more)))

    @rule()
    def delete(self) -> None:
        self.asked += 1
        self.run(self.platform.ask(allowed(self.asked, action="delete")))

    @precondition(lambda self: self.asked > 0)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(1, self.asked))
        before = len(self.platform.ledger.messages)
        self.run(self.platform.ask(allowed(number)))
        assert len(self.platform.ledger.messages) == before

    # -- what goes wrong ------------------------------------------------------------------------

    @rule(faults=st.lists(FAULTS, min_size=1, max_size=6))
    def misbehave(self, faults: list[LoseAnswer | LoseRequest | Refuse]) -> None:
        self.world.faults[:] = faults

    @rule(name=st.sampled_from(NAMES), permanent=st.booleans())
    def refuse(self, name: str, *, permanent: bool) -> None:
        self.world.refused[name] = Refuse(permanent=permanent)

    @rule(away=st.booleans(), looks=st.sampled_from([0, 0, 2, 9]))
    def be_slow(self, *, away: bool, looks: int) -> None:
        self.world.unavailable = away
        self.world.ready_after = looks

    @rule(name=st.sampled_from([*NAMES, "orders-a-elsewhere"]))
    def another_party_takes_the_name(self, name: str) -> None:
        if name in self.world.things:
            self.disturbed.add(name)
        self.foreign[name] = deepcopy(self.world.create_foreign(name, {"size": 77}))

    @rule(name=st.sampled_from(NAMES))
    def another_party_removes_it(self, name: str) -> None:
        if self.world.things.pop(name, None) is not None:
            self.foreign.pop(name, None)
            self.disturbed.add(name)

    @rule()
    def all_is_well(self) -> None:
        self.world.faults.clear()
        self.world.refused.clear()
        self.world.unavailable = False
        self.world.ready_after = 0

    # -- what is done about it ------------------------------------------------------------------

    @precondition(lambda self: self.platform.ledger.due is not None)
    @rule(stop=st.integers(1, 60))
    def work_and_die(self, stop: int) -> None:
        self.run(self.platform.work_until(stop))

    @precondition(lambda self: self.platform.ledger.due is not None)
    @rule()
    def work(self) -> None:
        self.run(self.platform.work_until(0))

    @rule()
    def settle(self) -> None:
        self.run(self.platform.settle(leases=400))

    # -- what holds all the time ----------------------------------------------------------------

    @invariant()
    def the_foreign_is_never_touched(self) -> None:
        for name, thing in self.foreign.items():
            assert self.world.things[name] == thing

    @invariant()
    def every_operation_ends_at_most_once(self) -> None:
        assert set(self.platform.ends_per_operation().values()) <= {0, 1}

    @invariant()
    def the_facts_give_the_state(self) -> None:
        messages = self.platform.ledger.messages
        stored = [type(m).model_validate_json(m.model_dump_json()) for m in messages]
        assert fold(evolve, ResourceState(), stored) == self.platform.ledger.state()

    @invariant()
    def nothing_of_ours_is_forgotten(self) -> None:
        state = self.platform.ledger.state()
        known = {(one.name, one.inputs.get("name")) for one in state.applied}
        if state.saga is not None:
            known |= {(one.name, one.inputs.get("name")) for one in state.saga.steps}
        for name, thing in self.world.things.items():
            if thing.owner is not None:
                assert (thing.owner.removeprefix(f"{RESOURCE}#"), name) in known

    @invariant()
    def no_effect_comes_twice(self) -> None:
        lines = Counter((e.operation_key, e.action, e.name) for e in self.world.effects)
        twice = {name for (_, _, name), count in lines.items() if count > 1}
        assert twice <= self.disturbed

    @invariant()
    def every_effect_has_its_record(self) -> None:
        keys = {
            (m.operation_key, m.epoch)
            for m in self.platform.ledger.messages
            if isinstance(m, StepStarted)
        }
        assert {(e.operation_key, e.epoch) for e in self.world.effects} <= keys

    @invariant()
    def one_operation_at_a_time_in_the_order_of_asking(self) -> None:
        messages = self.platform.ledger.messages
        queued = [m.operation for m in messages if isinstance(m, ResourceQueued)]
        # Those that joined another end right behind it: as they were asked for.
        ended = [m.operation for m in messages if isinstance(m, TERMINAL)]
        assert ended == queued[: len(ended)]

    def teardown(self) -> None:
        try:
            self.all_is_well()
            self.settle()
            self._everything_has_ended()
        finally:
            self.loop.close()

    def _everything_has_ended(self) -> None:
        state = self.platform.ledger.state()
        if state.saga is not None:
            assert state.saga.stuck
            assert self.foreign, "only what is foreign keeps it from going on"
            stuck = [m for m in self.platform.ledger.messages if isinstance(m, ResourceStuck)]
            assert state.saga.intent.operation in {fact.operation for fact in stuck}
            return
        assert set(self.platform.ends_per_operation().values()) <= {1}
        applied = {str(one.inputs["name"]): one for one in state.applied}
        ours = {name: one for name, one in self.world.things.items() if one.owner is not None}
        assert set(ours) <= set(applied)
        for name, one in applied.items():
            if name not in self.disturbed and one.name not in self._unknown():
                assert ours[name].inputs == one.inputs

    def _unknown(self) -> set[str]:
        """Return the steps that could not be observed when they were left, and not since.

        They stay listed as applied, so that a later operation looks for them; nothing may be there.
        """
        last = {
            m.step: m
            for m in self.platform.ledger.messages
            if isinstance(m, StepStarted | StepSucceeded | StepUndone | StepRetained)
        }
        retained = [m for m in last.values() if isinstance(m, StepRetained)]
        return {m.step for m in retained if m.presence == "unknown"}


TestSagas = Sagas.TestCase
TestSagas.settings = settings(
    max_examples=80,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
