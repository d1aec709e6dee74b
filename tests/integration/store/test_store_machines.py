"""Streams and tasks against models that are too simple to be wrong.

The database is the same for all steps of a run, and empty before it; each step is a transaction
of its own.
"""

import asyncio
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from busbar.kernel.clock import format_time
from busbar.kernel.errors import Conflict, Fenced
from busbar.runtime.store import Cause, Claim, StoreTransaction
from busbar.testing import ManualClock
from support.databases import Database
from support.runtime import (
    NOTHING,
    SOURCE,
    collect,
    fact,
    facts_of,
    numbers,
)

T = TypeVar("T")
LEASE = timedelta(seconds=5)
SETTINGS = settings(
    max_examples=6,
    stateful_step_count=18,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


class Machine(RuleBasedStateMachine):
    """A store, empty at first. Hypothesis makes machines without arguments."""

    database: ClassVar[Database]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock()
        self.store = self.run(self.database.empty_store(self.clock))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.run(self.store.close())
        self.loop.close()


def run(machine: type[Machine], database: Database) -> None:
    """Take random steps of ``machine`` on ``database``."""
    made = type(machine.__name__, (machine,), {"database": database})
    run_state_machine_as_test(made, settings=SETTINGS)


STREAMS = st.sampled_from("xyz")


class Streams(Machine):
    """The model: a list by stream, and the list of all commits."""

    @initialize()
    def begin(self) -> None:
        self.streams: dict[str, list[int]] = {"x": [], "y": [], "z": []}
        self.log: list[tuple[str, int]] = []
        self.causes = 0

    @rule(
        writes=st.lists(st.tuples(STREAMS, st.integers(1, 99)), min_size=1, max_size=6),
        look=STREAMS,
        fails=st.booleans(),
    )
    def write(self, writes: list[tuple[str, int]], look: str, *, fails: bool) -> None:
        self.causes += 1
        cause = Cause(SOURCE, str(self.causes), "c")

        async def body(tx: StoreTransaction) -> None:
            tx.caused_by(cause)
            for stream, number in writes:
                await tx.append(stream, [fact(number)])
            own = [number for stream, number in writes if stream == look]
            assert numbers(await tx.load(look, NOTHING, collect)) == self.streams[look] + own
            if fails:
                raise ArithmeticError

        try:
            self.run(self.store.transact(body))
        except ArithmeticError:
            return
        for stream, number in writes:
            self.streams[stream].append(number)
            self.log.append((stream, number))

    @precondition(lambda self: self.causes > 0)
    @rule(number=st.integers(1, 99), stream=STREAMS)
    def repeat_a_cause(self, number: int, stream: str) -> None:
        known = {event.causation for event in self.run(self.store.events(limit=10_000))}
        if str(self.causes) not in known:
            return

        async def body(tx: StoreTransaction) -> None:
            tx.caused_by(Cause(SOURCE, str(self.causes), "c"))
            await tx.append(stream, [fact(number)])

        try:
            self.run(self.store.transact(body))
        except Conflict:
            return
        raise AssertionError("the same cause was recorded twice")

    @invariant()
    def the_store_says_the_same(self) -> None:
        if not hasattr(self, "streams"):
            return
        for stream, expected in self.streams.items():
            assert self.run(facts_of(self.store, stream)) == expected
        events = self.run(self.store.events(limit=10_000))
        assert [event.stream for event in events] == [stream for stream, _ in self.log]
        for stream in self.streams:
            versions = [event.version for event in events if event.stream == stream]
            assert versions == list(range(1, len(versions) + 1))


class ModelTask:
    """A task in plain attributes."""

    def __init__(self) -> None:
        self.due: datetime | None = None
        self.data = 0
        self.again = False
        self.epoch = 0
        self.holder: str | None = None
        self.expires: datetime | None = None


NAMES = st.sampled_from("pqr")
HOLDERS = st.sampled_from("AB")
SECONDS = st.integers(0, 12)


class Tasks(Machine):
    """The model: a dictionary of tasks, and every claim that was ever made."""

    @initialize()
    def begin(self) -> None:
        self.tasks: dict[str, ModelTask] = {}
        self.claims: list[Claim] = []

    def act(self, method: str, *args: Any, **kwargs: Any) -> Any:
        async def body(tx: StoreTransaction) -> Any:
            return await getattr(tx.tasks, method)(*args, **kwargs)

        return self.run(self.store.transact(body))

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(name=NAMES, seconds=SECONDS, data=st.integers(0, 99))
    def schedule(self, name: str, seconds: int, data: int) -> None:
        due = self.clock.now() + timedelta(seconds=seconds)
        self.act("schedule", "k", name, due=due, data={"n": data})
        task = self.tasks.setdefault(name, ModelTask())
        task.due, task.data, task.again = due, data, True

    def claimable(self) -> list[str]:
        now = self.clock.now()
        due = [
            (task.due, name)
            for name, task in self.tasks.items()
            if task.due and task.due <= now and (task.expires is None or task.expires <= now)
        ]
        return [name for _, name in sorted(due)]

    @rule(holder=HOLDERS, limit=st.integers(1, 3))
    def claim(self, holder: str, limit: int) -> None:
        expected = self.claimable()
        claims = self.act("claim", "k", holder=holder, lease=LEASE, limit=limit)
        got = [claim.name for claim in claims]
        # Which of those that are due at one time come first is not promised.
        assert len(got) == min(limit, len(expected))
        assert set(got) <= set(expected)
        times = [self.tasks[name].due for name in got]
        assert times == [self.tasks[name].due for name in expected[: len(got)]]
        for claim in claims:
            task = self.tasks[claim.name]
            task.epoch += 1
            task.holder, task.expires, task.again = holder, self.clock.now() + LEASE, False
            assert (claim.epoch, claim.data) == (task.epoch, {"n": task.data})
        self.claims.extend(claims)

    def held(self, claim: Claim) -> bool:
        task = self.tasks[claim.name]
        return (task.epoch, task.holder) == (claim.epoch, claim.holder)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), again=st.none() | SECONDS, act=st.sampled_from(["hold", "finish"]))
    def use_any_claim(self, data: st.DataObject, again: int | None, act: str) -> None:
        claim = data.draw(st.sampled_from(self.claims[-6:]))
        task, held = self.tasks[claim.name], self.held(claim)
        due = None if again is None else self.clock.now() + timedelta(seconds=again)
        try:
            self.act(act, claim, **({"again": due} if act == "finish" else {}))
        except Fenced:
            assert not held
            return
        assert held
        if act == "hold":
            task.expires = self.clock.now() + LEASE
            return
        task.holder = task.expires = None
        if not task.again:
            task.due = due

    @invariant()
    def the_next_due_time_is_the_first_at_which_a_claim_succeeds(self) -> None:
        times = [
            max(task.due, task.expires or task.due)
            for task in getattr(self, "tasks", {}).values()
            if task.due
        ]
        expected = format_time(min(times)) if times else None
        assert self.act("next_due", "k") == expected


def test_streams_are_as_the_model_says(database: Database) -> None:
    run(Streams, database)


def test_tasks_are_as_the_model_says(database: Database) -> None:
    run(Tasks, database)
