"""The conformance suites that every adapter passes, whatever it makes.

Subclass :class:`BackendContract` and give it a fixture ``harness`` that returns a
:class:`BackendHarness`: one adapter, and a way to see and disturb its world without the adapter.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Final

import pytest

from busbar.backends.port import (
    Backend,
    BackendUnavailable,
    Call,
    Fencing,
    Observation,
    Outcome,
    Presence,
    Result,
    acts_late_seconds,
)
from busbar.testing.waiting import eventually

Inputs = Mapping[str, Any]

OWNER: Final = "payments/prod/thing/orders#step"
OTHER_OWNER: Final = "checkout/prod/thing/orders#step"


class LifecycleHarness(ABC):
    """An adapter whose world never fails and holds nothing foreign."""

    backend: Backend

    @abstractmethod
    def inputs(self) -> Inputs:
        """Return inputs that can be met, with an unused name in the field ``name``."""

    @abstractmethod
    def changed_inputs(self, inputs: Inputs) -> tuple[Inputs, set[str]]:
        """Return ``inputs`` with a change that is possible in place, and the changed fields."""

    @abstractmethod
    async def inspect(self, inputs: Inputs) -> Any:
        """Return the state of the thing, seen without the adapter; None if it is absent."""


class BackendHarness(LifecycleHarness):
    """An adapter and its world."""

    @abstractmethod
    def refused_inputs(self) -> Inputs:
        """Return valid inputs that the backend permanently refuses."""

    @abstractmethod
    def invalid_inputs(self) -> Inputs:
        """Return inputs that no backend could meet."""

    @abstractmethod
    async def create_foreign(self, inputs: Inputs) -> None:
        """Create the thing without the adapter and without a mark."""

    @abstractmethod
    def lose_answers(self) -> AbstractContextManager[None]:
        """While active, the backend carries out changes, but its answers are lost."""

    @abstractmethod
    def unreachable_backend(self) -> Backend:
        """Return the same adapter for a backend that does not answer."""


def make_call(inputs: Inputs, *, owner: str = OWNER, epoch: int = 1, key: str = "k-1") -> Call:
    """Return a call with enough time."""
    return Call(owner=owner, inputs=inputs, operation_key=key, epoch=epoch, timeout=10.0)


async def apply_and_observe(backend: Backend, call: Call) -> Observation:
    """Apply, check that it is done and matches the inputs, and return the observation."""
    outcome = await backend.apply(call)
    assert outcome == Outcome.done()
    seen = await backend.observe(call)
    assert seen.as_asked
    return seen


def is_permanent_refusal(outcome: Outcome, reason: str) -> bool:
    """Return True if nothing was done, permanently, for ``reason``, with a sentence for people."""
    return (
        outcome.result is Result.NOT_DONE
        and outcome.reason == reason
        and outcome.permanent
        and len(outcome.detail) > len(reason)
    )


@pytest.mark.asyncio
class LifecycleContract:
    """Creating, updating and removing, each any number of times."""

    @pytest.fixture
    def harness(self) -> LifecycleHarness:
        """Override this."""
        pytest.fail("Give the suite a fixture `harness` that returns the harness of the adapter.")

    async def test_observing_an_absent_thing_changes_nothing(
        self, harness: LifecycleHarness
    ) -> None:
        call = make_call(harness.inputs())
        assert (await harness.backend.observe(call)).presence is Presence.ABSENT
        assert await harness.inspect(call.inputs) is None
        assert (await harness.backend.observe(call)).presence is Presence.ABSENT

    async def test_observing_a_thing_that_differs_changes_nothing(
        self, harness: LifecycleHarness
    ) -> None:
        call = make_call(harness.inputs())
        await apply_and_observe(harness.backend, call)
        before = await harness.inspect(call.inputs)
        other, _ = harness.changed_inputs(call.inputs)
        await harness.backend.observe(replace(call, inputs=other))
        await harness.backend.observe(replace(call, inputs=other, owner=OTHER_OWNER))
        assert await harness.inspect(call.inputs) == before

    async def test_an_applied_thing_is_ours_and_matches_its_inputs(
        self, harness: LifecycleHarness
    ) -> None:
        call = make_call(harness.inputs())
        seen = await apply_and_observe(harness.backend, call)
        assert seen.presence is Presence.OURS
        assert seen.outputs["name"] == call.inputs["name"]
        assert await harness.inspect(call.inputs) is not None

    async def test_an_applied_thing_becomes_ready(self, harness: LifecycleHarness) -> None:
        call = make_call(harness.inputs())
        await apply_and_observe(harness.backend, call)

        async def ready() -> bool:
            return (await harness.backend.observe(call)).ready

        became: bool = await eventually(ready, what="readiness")
        assert became

    async def test_applying_twice_equals_applying_once(self, harness: LifecycleHarness) -> None:
        call = make_call(harness.inputs())
        await apply_and_observe(harness.backend, call)
        once = await harness.inspect(call.inputs)
        await apply_and_observe(harness.backend, call)
        assert await harness.inspect(call.inputs) == once

    async def test_an_update_is_made_in_place(self, harness: LifecycleHarness) -> None:
        call = make_call(harness.inputs())
        await apply_and_observe(harness.backend, call)
        before = await harness.inspect(call.inputs)
        other, fields = harness.changed_inputs(call.inputs)
        changed = replace(call, inputs=other, operation_key="k-2")
        seen = await harness.backend.observe(changed)
        assert set(seen.differs) == fields
        assert not seen.as_asked
        await apply_and_observe(harness.backend, changed)
        assert await harness.inspect(call.inputs) != before
        assert set((await harness.backend.observe(call)).differs) == fields

    async def test_a_removed_thing_is_absent(self, harness: LifecycleHarness) -> None:
        call = make_call(harness.inputs())
        await apply_and_observe(harness.backend, call)
        assert await harness.backend.remove(call) == Outcome.done()
        assert await harness.inspect(call.inputs) is None
        assert (await harness.backend.observe(call)).presence is Presence.ABSENT

    async def test_removing_twice_succeeds(self, harness: LifecycleHarness) -> None:
        call = make_call(harness.inputs())
        await apply_and_observe(harness.backend, call)
        assert await harness.backend.remove(call) == Outcome.done()
        assert await harness.backend.remove(call) == Outcome.done()

    async def test_the_name_of_a_removed_thing_is_free(self, harness: LifecycleHarness) -> None:
        call = make_call(harness.inputs())
        await apply_and_observe(harness.backend, call)
        assert await harness.backend.remove(call) == Outcome.done()
        await apply_and_observe(harness.backend, replace(call, owner=OTHER_OWNER))

    async def test_closing_twice_succeeds(self, harness: LifecycleHarness) -> None:
        await harness.backend.observe(make_call(harness.inputs()))
        await harness.backend.close()
        await harness.backend.close()


class BackendContract(LifecycleContract):
    """Everything that an adapter promises: its lifecycle, ownership, lost answers and refusals."""

    @pytest.fixture
    def harness(self) -> BackendHarness:
        """Override this."""
        pytest.fail("Give the suite a fixture `harness` that returns a BackendHarness.")

    # -- ownership ------------------------------------------------------------------------------

    async def test_another_owner_sees_a_foreign_thing(self, harness: BackendHarness) -> None:
        call = make_call(harness.inputs())
        await apply_and_observe(harness.backend, call)
        seen = await harness.backend.observe(replace(call, owner=OTHER_OWNER))
        assert seen.presence is Presence.FOREIGN
        assert not seen.outputs
        assert "another owner" in seen.detail

    async def test_a_thing_without_a_mark_is_foreign(self, harness: BackendHarness) -> None:
        call = make_call(harness.inputs())
        await harness.create_foreign(call.inputs)
        seen = await harness.backend.observe(call)
        assert seen.presence is Presence.FOREIGN
        assert "no mark" in seen.detail

    async def test_a_foreign_thing_is_never_changed(self, harness: BackendHarness) -> None:
        call = make_call(harness.inputs())
        await harness.create_foreign(call.inputs)
        before = await harness.inspect(call.inputs)
        other, _ = harness.changed_inputs(call.inputs)
        for inputs in (call.inputs, other):
            outcome = await harness.backend.apply(replace(call, inputs=inputs))
            assert is_permanent_refusal(outcome, "not_ours")
        assert await harness.inspect(call.inputs) == before

    async def test_a_thing_of_another_owner_is_never_changed(self, harness: BackendHarness) -> None:
        theirs = make_call(harness.inputs(), owner=OTHER_OWNER)
        await apply_and_observe(harness.backend, theirs)
        before = await harness.inspect(theirs.inputs)
        other, _ = harness.changed_inputs(theirs.inputs)
        for inputs in (theirs.inputs, other):
            outcome = await harness.backend.apply(make_call(inputs))
            assert is_permanent_refusal(outcome, "not_ours")
        assert await harness.inspect(theirs.inputs) == before

    async def test_a_foreign_thing_is_never_removed(self, harness: BackendHarness) -> None:
        call = make_call(harness.inputs())
        await harness.create_foreign(call.inputs)
        before = await harness.inspect(call.inputs)
        assert is_permanent_refusal(await harness.backend.remove(call), "not_ours")
        assert await harness.inspect(call.inputs) == before

    async def test_a_thing_of_another_owner_is_never_removed(self, harness: BackendHarness) -> None:
        theirs = make_call(harness.inputs(), owner=OTHER_OWNER)
        await apply_and_observe(harness.backend, theirs)
        before = await harness.inspect(theirs.inputs)
        outcome = await harness.backend.remove(make_call(theirs.inputs))
        assert is_permanent_refusal(outcome, "not_ours")
        assert await harness.inspect(theirs.inputs) == before

    async def test_one_of_two_owners_who_apply_concurrently_gets_the_thing(
        self, harness: BackendHarness
    ) -> None:
        inputs = harness.inputs()
        calls = [make_call(inputs), make_call(inputs, owner=OTHER_OWNER)]
        outcomes = await asyncio.gather(*(harness.backend.apply(call) for call in calls))
        seen = [await harness.backend.observe(call) for call in calls]
        assert {one.presence for one in seen} == {Presence.OURS, Presence.FOREIGN}
        for outcome, one in zip(outcomes, seen, strict=True):
            assert (outcome.result is Result.DONE) is (one.presence is Presence.OURS)

    # -- lost answers ---------------------------------------------------------------------------

    async def test_a_retry_after_a_lost_answer_creates_nothing_new(
        self, harness: BackendHarness
    ) -> None:
        call = make_call(harness.inputs())
        with harness.lose_answers():
            lost = await harness.backend.apply(call)
        assert lost.result is Result.UNKNOWN
        assert lost.detail
        assert (await harness.backend.observe(call)).as_asked
        once = await harness.inspect(call.inputs)
        await apply_and_observe(harness.backend, call)
        assert await harness.inspect(call.inputs) == once

    async def test_an_update_whose_answer_was_lost_can_be_retried(
        self, harness: BackendHarness
    ) -> None:
        call = make_call(harness.inputs())
        await apply_and_observe(harness.backend, call)
        other, _ = harness.changed_inputs(call.inputs)
        changed = replace(call, inputs=other, operation_key="k-2")
        with harness.lose_answers():
            assert (await harness.backend.apply(changed)).result is Result.UNKNOWN
        await apply_and_observe(harness.backend, changed)

    async def test_a_removal_whose_answer_was_lost_can_be_retried(
        self, harness: BackendHarness
    ) -> None:
        call = make_call(harness.inputs())
        await apply_and_observe(harness.backend, call)
        with harness.lose_answers():
            lost = await harness.backend.remove(call)
        assert lost.result is Result.UNKNOWN
        assert await harness.backend.remove(call) == Outcome.done()
        assert await harness.inspect(call.inputs) is None

    # -- refusals -------------------------------------------------------------------------------

    async def test_a_refusal_is_permanent_and_leaves_nothing(self, harness: BackendHarness) -> None:
        call = make_call(harness.refused_inputs())
        assert is_permanent_refusal(await harness.backend.apply(call), "refused")
        assert await harness.inspect(call.inputs) is None
        assert (await harness.backend.observe(call)).presence is Presence.ABSENT

    async def test_invalid_inputs_are_permanently_refused(self, harness: BackendHarness) -> None:
        call = make_call(harness.invalid_inputs())
        assert (await harness.backend.observe(call)).presence is Presence.ABSENT
        assert is_permanent_refusal(await harness.backend.apply(call), "invalid_inputs")

    async def test_a_backend_that_never_acts_late_refuses_an_older_epoch_where_nothing_exists(
        self, harness: BackendHarness
    ) -> None:
        backend, call = harness.backend, make_call(harness.inputs(), epoch=5)
        late = acts_late_seconds(backend)
        assert late >= 0
        assert await backend.remove(call) == Outcome.done()
        if backend.fencing is Fencing.CONDITIONAL and not late:
            outcome = await backend.apply(replace(call, epoch=4, operation_key="k-0"))
            assert (outcome.result, outcome.permanent) == (Result.NOT_DONE, False)
            assert await harness.inspect(call.inputs) is None

    async def test_a_backend_that_does_not_answer_is_unavailable(
        self, harness: BackendHarness
    ) -> None:
        backend, call = harness.unreachable_backend(), make_call(harness.inputs())
        with pytest.raises(BackendUnavailable):
            await backend.observe(call)
        for act in (backend.apply, backend.remove):
            outcome = await act(call)
            assert outcome.result is Result.NOT_DONE
            assert outcome.reason == "unavailable"
            assert not outcome.permanent
        await backend.close()
