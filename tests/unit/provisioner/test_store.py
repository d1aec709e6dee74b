"""The shell over the real store and the in-process backend."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from busbar.backends.port import Backend, BackendUnavailable, Call, Fencing, Observation, Outcome
from busbar.kernel.errors import Fenced
from busbar.messages import topics
from busbar.messages.intervention import InterventionAllowed
from busbar.messages.policy import IntentAllowed
from busbar.messages.resource import ResourceFailed, StepFailed, StepStarted, StepSucceeded
from busbar.provisioner.domain import ResourceState, evolve
from busbar.provisioner.domain.decisions import ATTEMPTS
from busbar.provisioner.handlers import CALL_SHARE_OF_LEASE, SAGA, Provisioner
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.store import Cause, Claim, Store, StoredEvent, StoreTransaction, open_store
from busbar.runtime.store.parts.streams import message_of
from busbar.runtime.tasks.runner import TaskRunner, Work
from busbar.testing import ManualClock
from busbar.testing.memory import LoseAnswer, MemoryBackend, MemoryWorld
from support import eventually
from support.metrics import counted
from support.personal import no_personal_data
from support.tracing import traced
from unit.provisioner.ledger import LEASE, die_at, pause, received
from unit.provisioner.scenario import ASKED, CORRELATION, RESOURCE, TRACE, allowed, plan, tale

STREAM = f"resource/{RESOURCE}"
MANY = 30


class Recorder:
    """A backend that notes which records were stored when it was asked to act."""

    fencing: Fencing = Fencing.CONDITIONAL

    def __init__(self, world: MemoryWorld, store: Store) -> None:
        self._inner = MemoryBackend(world=world)
        self._store = store
        self.calls: list[tuple[Call, list[str]]] = []
        self.raises: list[tuple[str, Exception]] = []
        """What the next calls raise, ``observe``, ``before`` or ``after`` they act."""

    async def observe(self, call: Call) -> Observation:
        self._maybe_raise("observe")
        return await self._inner.observe(call)

    async def apply(self, call: Call) -> Outcome:
        await self._note(call)
        await pause()
        outcome = await self._inner.apply(call)
        await pause()
        self._maybe_raise("after")
        return outcome

    async def remove(self, call: Call) -> Outcome:
        await self._note(call)
        return await self._inner.remove(call)

    async def close(self) -> None:
        await self._inner.close()

    async def _note(self, call: Call) -> None:
        stored = [message_of(event.type, event.data) for event in await self._store.events()]
        keys = [fact.operation_key for fact in stored if isinstance(fact, StepStarted)]
        self.calls.append((call, keys))
        if len(self.calls) > MANY:
            pytest.fail("it never ends")
        self._maybe_raise("before")

    def _maybe_raise(self, phase: str) -> None:
        if self.raises and self.raises[0][0] == phase:
            raise self.raises.pop(0)[1]


class Mortal:
    """The real store, with a place to die before and after every transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def transact(
        self,
        body: Callable[[StoreTransaction], Awaitable[Any]],
        *,
        fence: Claim,
        reads: Collection[str] = (),
    ) -> Any:
        await pause()
        result = await self._store.transact(body, fence=fence, reads=reads)
        await pause()
        return result


class Real:
    """A provisioner over a real store."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        self.world = MemoryWorld()
        self.backend = Recorder(self.world, store)
        self.provisioner = Provisioner(self, no_personal_data(), clock=clock, lease=LEASE)

    def find(self, name: str) -> Backend | None:
        if name == "broken":
            raise ImportError("no module named broken")
        return self.backend if name == "memory" else None

    async def ask(self, *asked: IntentAllowed, allowed_at: datetime | None = None) -> None:
        for one in asked:

            async def take_over(tx: StoreTransaction, message: IntentAllowed = one) -> None:
                decision = f"allowed-{message.generation}"
                tx.caused_by(Cause("/busbar/policy", decision, CORRELATION, TRACE, ASKED))
                await self.provisioner.enqueue(received(message, time=allowed_at), tx)

            await self.store.transact(take_over)

    async def claim(self, holder: str = "me") -> Work | None:
        async def take(tx: StoreTransaction) -> list[Claim]:
            lease = timedelta(seconds=LEASE)
            return list(await tx.tasks.claim(SAGA, holder=holder, lease=lease, limit=1))

        claims = await self.store.transact(take)
        return Work(claims[0], Mortal(self.store)) if claims else None

    async def work(self) -> bool:
        """Work once, if anything is due."""
        work = await self.claim()
        if work is not None:
            await self.provisioner.run(work)
        return work is not None

    async def settle(self) -> list[str]:
        for _ in range(30):
            while await self.work():
                pass
            if await self.due() is None:
                break
            self.clock.advance(60)
        return await self.tale()

    async def due(self) -> str | None:
        async with self.store.reading() as tx:
            return await tx.tasks.next_due(SAGA)

    async def events(self) -> list[StoredEvent]:
        return await self.store.events(limit=1000)

    async def tale(self) -> list[str]:
        messages = [message_of(event.type, event.data) for event in await self.events()]
        return tale(message for message in messages if message is not None)

    async def facts(self, kind: type[Any]) -> list[Any]:
        messages = [message_of(event.type, event.data) for event in await self.events()]
        return [message for message in messages if isinstance(message, kind)]


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Real]:
    clock = ManualClock()
    store = await open_store(tmp_path / "provisioner.db", service="provisioner", clock=clock)
    yield Real(store, clock)
    await store.close()


CREATED = ["create a", "done a", "create b", "done b", "created 1"]


async def test_an_allowed_intent_becomes_real_and_nothing_is_due_after_it(real: Real) -> None:
    await real.ask(allowed(1))
    assert await real.settle() == ["queued 1", *CREATED]
    assert set(real.world.things) == {"orders-a", "orders-b"}
    assert await real.due() is None


async def test_an_intent_that_is_allowed_twice_is_one_operation(real: Real) -> None:
    await real.ask(allowed(1), allowed(1))
    await real.settle()
    await real.ask(allowed(1))
    assert await real.settle() == ["queued 1", *CREATED]
    assert await real.due() is None


async def test_two_intents_of_one_transaction_run_one_after_the_other(real: Real) -> None:
    await real.ask(allowed(1, plan("a")), allowed(2, plan("a"), size=2))
    lines = ["create a", "done a", "created 1", "update a", "done a", "updated 2"]
    assert (await real.settle())[2:] == lines


async def test_the_intent_to_act_is_stored_before_the_backend_is_called(real: Real) -> None:
    await real.ask(allowed(1), allowed(2, action="delete"))
    await real.settle()
    assert len(real.backend.calls) == 4
    for call, stored in real.backend.calls:
        assert stored[-1] == call.operation_key


async def test_a_call_names_its_owner_and_lease_and_is_shorter_than_the_lease(real: Real) -> None:
    await real.ask(allowed(1, plan("a")))
    await real.settle()
    (call, _), *_ = real.backend.calls
    (started,) = await real.facts(StepStarted)
    assert call.owner == f"{RESOURCE}#a"
    assert call.epoch == started.epoch == 1
    assert call.timeout < LEASE


async def test_a_lease_that_was_lost_can_record_nothing(real: Real) -> None:
    await real.ask(allowed(1))
    stale = await real.claim("sleeper")
    assert stale is not None
    real.clock.advance(LEASE + 1)
    lines = await real.settle()
    with pytest.raises(Fenced):
        await real.provisioner.run(stale)
    assert await real.tale() == lines
    assert len(real.world.effects) == 2


async def test_who_is_overtaken_while_acting_can_not_record_what_came_of_it(real: Real) -> None:
    await real.ask(allowed(1, plan("a")))
    sleeper = await real.claim("sleeper")
    assert sleeper is not None
    act = real.backend.apply

    async def overtaken(call: Call) -> Outcome:
        real.backend.apply = act  # type: ignore[method-assign]  # put in the way on purpose
        outcome = await act(call)
        real.clock.advance(LEASE + 1)
        await real.settle()
        return outcome

    real.backend.apply = overtaken  # type: ignore[method-assign]  # put in the way on purpose
    with pytest.raises(Fenced):
        await real.provisioner.run(sleeper)
    assert await real.tale() == ["queued 1", "create a", "done a", "created 1"]
    (done,) = await real.facts(StepSucceeded)
    assert done.observed_after_unknown
    assert len(real.world.effects) == 1


async def test_a_late_call_of_a_lost_lease_is_refused_by_the_backend(real: Real) -> None:
    await real.ask(allowed(1, plan("a")))
    await real.claim("sleeper")
    real.clock.advance(LEASE + 1)
    await real.settle()
    inputs = {"name": "orders-a", "size": 9}
    late = Call(owner=f"{RESOURCE}#a", inputs=inputs, operation_key="k", epoch=1, timeout=1)
    assert (await real.backend.apply(late)).reason == "fenced"


async def test_every_fact_is_published_with_its_correlation_and_trace(real: Real) -> None:
    await real.ask(allowed(1))
    await real.settle()
    events = await real.events()
    assert {event.correlation for event in events} == {CORRELATION}
    assert {json.loads(event.metadata)["traceparent"] for event in events} == {TRACE}
    assert {json.loads(event.metadata)["onbehalfof"] for event in events} == {ASKED}
    assert {event.topic for event in events} == {topics.FACTS_RESOURCE}
    assert {event.key for event in events} == {RESOURCE}
    assert {event.stream for event in events} == {STREAM}
    queued, *others = events
    assert queued.causation == "allowed-1"
    assert {event.causation for event in others} == {str(allowed(1).operation)}


async def test_calls_of_adapters_are_spans_below_their_operation(real: Real) -> None:
    async with traced() as spans:
        await real.ask(allowed(1, plan("a")))
        await real.settle()
    names = [span.name for span in spans.all()]
    assert names == ["observe memory", "apply memory", "observe memory"]
    assert {(span.trace_id, span.parent_id, span.kind) for span in spans.all()} == {
        (*TRACE.split("-")[1:3], "client")
    }
    assert spans.one("apply memory").attributes == {
        "busbar.adapter": "memory",
        "busbar.operation": str(allowed(1).operation),
        "busbar.result": "done",
    }


async def test_calls_of_adapters_are_counted_by_their_results(real: Real) -> None:
    about = {"adapter": "memory", "action": "apply"}
    before = {
        result: counted("busbar_provisioner_steps_total", **about, result=result)
        for result in ("done", "unknown")
    }
    real.backend.raises = [("after", RuntimeError("a bug"))]
    await real.ask(allowed(1, plan("a")))
    await real.settle()
    assert counted("busbar_provisioner_steps_total", **about, result="unknown") == (
        before["unknown"] + 1
    )


async def test_an_operation_is_timed_from_the_decision_that_allowed_it(real: Real) -> None:
    name = "busbar_provisioner_operation_seconds_sum"
    before = counted(name), counted("busbar_provisioner_operations_total", outcome="succeeded")
    await real.ask(allowed(1, plan("a")), allowed_at=real.clock.now() - timedelta(seconds=90))
    await real.settle()
    assert counted(name) - before[0] == 90
    after = counted("busbar_provisioner_operations_total", outcome="succeeded")
    assert after - before[1] == 1


async def test_the_next_operation_of_a_lease_has_its_own_correlation(real: Real) -> None:
    await real.ask(allowed(1, plan("a")), allowed(2, action="delete"))
    await real.settle()
    causes = {event.causation for event in await real.events()}
    assert causes >= {str(allowed(1).operation), str(allowed(2).operation)}


async def test_the_stored_facts_give_the_state_again(real: Real) -> None:
    await real.ask(allowed(1), allowed(2, plan("b", "c"), size=2))
    await real.settle()
    async with real.store.reading() as tx:
        state = await tx.load(STREAM, ResourceState(), evolve)
        again = await tx.load(STREAM, ResourceState(), evolve)
    assert state == again
    assert [applied.name for applied in state.applied] == ["b", "c"]
    assert state.generation == 2


# -- adapters that misbehave -----------------------------------------------------------------------


async def test_an_adapter_that_raises_after_acting_is_looked_after(real: Real) -> None:
    real.backend.raises = [("after", KeyError("bug"))]
    await real.ask(allowed(1, plan("a")))
    assert await real.settle() == ["queued 1", "create a", "done a", "created 1"]
    assert len(real.world.effects) == 1


async def test_an_adapter_that_raises_instead_of_acting_is_called_as_often_as_any(
    real: Real,
) -> None:
    real.backend.raises = [("before", KeyError("bug"))] * 100
    await real.ask(allowed(1, plan("a")))
    lines = await real.settle()
    assert lines.count("create a") == ATTEMPTS
    # The removal reaches the backend although nothing is there, and is not confirmed either.
    assert lines.index("failed a adapter_failed!") == 2 * ATTEMPTS
    assert lines[2 * ATTEMPTS + 1 :] == [
        *["remove a", "failed a adapter_failed"] * ATTEMPTS,
        *["absent a", "gave up 1, left absent"],
    ]
    assert real.world.effects == []


async def test_calls_that_outlast_their_time_are_reported_with_adapter_seconds_and_attempts(
    real: Real,
) -> None:
    real.backend.raises = [("before", TimeoutError())] * 100
    await real.ask(allowed(1, plan("a")))
    lines = await real.settle()
    assert lines.index("failed a timeout!") == 2 * ATTEMPTS
    adapter, seconds = allowed(1, plan("a")).plan.steps[0].adapter, LEASE * CALL_SHARE_OF_LEASE
    silent = f"the adapter {adapter} did not answer within {seconds:g} seconds"
    failed = [fact.detail for fact in await real.facts(StepFailed)]
    assert failed[:2] == [silent, f"{silent} (2 attempts)"]
    (ended,) = await real.facts(ResourceFailed)
    assert ended.detail == f"{silent} ({ATTEMPTS} attempts)"


async def test_looks_that_outlast_their_time_are_reported_in_the_same_way(real: Real) -> None:
    real.backend.raises = [("observe", TimeoutError())] * 2
    await real.ask(allowed(1, plan("a")))
    await real.settle()
    adapter = allowed(1, plan("a")).plan.steps[0].adapter
    failed = [fact.detail for fact in await real.facts(StepFailed)]
    assert failed[1].startswith(f"the adapter {adapter} did not answer within ")
    assert failed[1].endswith(" seconds (2 attempts)")


@pytest.mark.parametrize(
    "error", [KeyError("bug"), BackendUnavailable("away"), ConnectionResetError(), TimeoutError()]
)
async def test_an_adapter_that_cannot_look_is_asked_again(real: Real, error: Exception) -> None:
    real.backend.raises = [("observe", error)]
    await real.ask(allowed(1, plan("a")))
    lines = await real.settle()
    assert lines[1].startswith("failed a ")
    assert lines[-1] == "created 1"
    assert (await real.facts(StepFailed))[0].detail


async def test_an_adapter_that_can_never_look_fails_the_operation(real: Real) -> None:
    real.backend.raises = [("observe", KeyError("bug"))] * 100
    await real.ask(allowed(1, plan("a")))
    assert (await real.settle())[-2:] == ["failed a adapter_failed!", "gave up 1, left absent"]


async def test_an_adapter_that_cannot_be_loaded_fails_the_operation(real: Real) -> None:
    asked = allowed(1, plan("a"))
    broken = asked.plan.steps[0].model_copy(update={"adapter": "broken"})
    await real.ask(allowed(1, plan(broken)))
    assert (await real.settle())[-2:] == ["failed a adapter_failed!", "gave up 1, left absent"]


async def test_a_lost_answer_has_no_second_effect(real: Real) -> None:
    real.world.fail(LoseAnswer())
    await real.ask(allowed(1, plan("a")))
    assert await real.settle() == ["queued 1", "create a", "done a", "created 1"]
    assert len(real.world.effects) == 1


# -- dying -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", range(1, 8))
async def test_a_death_at_an_await_of_the_real_store_changes_nothing_about_the_end(
    real: Real, first: int
) -> None:
    await real.ask(allowed(1, plan("a")))
    for stop in (first, 4):
        work = await real.claim()
        assert work is not None
        assert await die_at(real.provisioner.run(work), stop)
        real.clock.advance(LEASE + 1)
    lines = await real.settle()
    assert lines[-2:] == ["done a", "created 1"]
    assert len(real.world.effects) == 1
    assert await real.due() is None


# -- wired -----------------------------------------------------------------------------------------


async def test_the_service_takes_over_what_is_allowed_and_runs_its_sagas(tmp_path: Path) -> None:
    clock = SystemClock()
    store = await open_store(tmp_path / "provisioner.db", service="provisioner", clock=clock)
    try:
        real = Real(store, ManualClock())
        service = Provisioner(real, no_personal_data(), clock=clock, lease=LEASE).service()
        assert set(service.handlers) == {IntentAllowed.TYPE, InterventionAllowed.TYPE}
        runner = TaskRunner(SAGA, service.jobs[SAGA], store, clock=clock, holder="me", lease=LEASE)
        running = asyncio.create_task(runner.run())
        await real.ask(allowed(1))

        async def is_created() -> bool:
            return (await real.tale())[-1:] == ["created 1"]

        await eventually(is_created, what="the resource")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    finally:
        await store.close()
