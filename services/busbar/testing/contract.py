"""The conformance suite: what every adapter promises, whatever it makes.

A suite subclasses :class:`BackendContract` and gives a fixture ``subject``; see
``tests/unit/backends/test_memory.py`` for the shortest one.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from busbar.backends.port import (
    Backend,
    BackendUnavailable,
    Call,
    Environment,
    Observation,
    Outcome,
    Presence,
    Result,
)
from busbar.testing.waiting import eventually

Inputs = Mapping[str, Any]

OWNER = "payments/prod/thing/orders#step"
STRANGER = "checkout/prod/thing/orders#step"


async def no_secret(_reference: str) -> SecretStr | None:
    """The place for secrets holds none."""
    return None


def environment(*, bootstrap: str = "") -> Environment:
    """What an adapter knows that needs no secrets."""
    return Environment(kafka_bootstrap=bootstrap, secret=no_secret)


class Subject(ABC):
    """One adapter under test, and the world seen without it."""

    backend: Backend

    @abstractmethod
    def inputs(self) -> Inputs:
        """Inputs that can be met, under a name that nothing has yet."""

    @abstractmethod
    def changed(self, inputs: Inputs) -> tuple[Inputs, set[str]]:
        """``inputs`` altered in a way that can be made in place, and which of them differ."""

    @abstractmethod
    def refused(self) -> Inputs:
        """Well-formed inputs that the world refuses for good."""

    @abstractmethod
    def invalid(self) -> Inputs:
        """Inputs that no world could meet."""

    @abstractmethod
    async def foreign(self, inputs: Inputs) -> None:
        """Have somebody else make the thing, without any mark."""

    @abstractmethod
    async def look(self, inputs: Inputs) -> Any:
        """All there is to know of the thing, seen past the adapter; None if it is absent."""

    @abstractmethod
    def losing_answers(self) -> AbstractContextManager[None]:
        """While inside, what the adapter asks for happens, and the answers are lost."""

    @abstractmethod
    def unreachable(self) -> Backend:
        """The same adapter with a world that does not answer."""


def call_of(inputs: Inputs, *, owner: str = OWNER, epoch: int = 1, key: str = "k-1") -> Call:
    """A call with enough time."""
    return Call(owner=owner, inputs=inputs, operation_key=key, epoch=epoch, timeout=10.0)


async def applied(backend: Backend, call: Call) -> Observation:
    """Apply, and observe that it is done."""
    outcome = await backend.apply(call)
    assert outcome == Outcome.done()
    seen = await backend.observe(call)
    assert seen.as_asked
    return seen


def is_refused(outcome: Outcome, reason: str) -> bool:
    """Whether nothing was done for good, for ``reason``, with a sentence for people."""
    return (
        outcome.result is Result.NOT_DONE
        and outcome.reason == reason
        and outcome.permanent
        and len(outcome.detail) > len(reason)
    )


class BackendContract:
    """The promises. Subclasses give the fixture ``subject``."""

    @pytest.fixture
    def subject(self) -> Subject:
        raise NotImplementedError("give the suite a subject")

    async def test_observing_what_is_absent_changes_nothing(self, subject: Subject) -> None:
        call = call_of(subject.inputs())
        assert (await subject.backend.observe(call)).presence is Presence.ABSENT
        assert await subject.look(call.inputs) is None
        assert (await subject.backend.observe(call)).presence is Presence.ABSENT

    async def test_observing_what_differs_changes_nothing(self, subject: Subject) -> None:
        call = call_of(subject.inputs())
        await applied(subject.backend, call)
        before = await subject.look(call.inputs)
        other, _ = subject.changed(call.inputs)
        await subject.backend.observe(replace(call, inputs=other))
        await subject.backend.observe(replace(call, inputs=other, owner=STRANGER))
        assert await subject.look(call.inputs) == before

    async def test_what_is_applied_is_ours_and_as_asked(self, subject: Subject) -> None:
        call = call_of(subject.inputs())
        seen = await applied(subject.backend, call)
        assert seen.presence is Presence.OURS
        assert seen.outputs["name"] == call.inputs["name"]
        assert await subject.look(call.inputs) is not None

    async def test_what_is_applied_becomes_ready(self, subject: Subject) -> None:
        call = call_of(subject.inputs())
        await applied(subject.backend, call)

        async def ready() -> bool:
            return (await subject.backend.observe(call)).ready

        became: bool = await eventually(ready, what="readiness")
        assert became

    async def test_applying_twice_is_applying_once(self, subject: Subject) -> None:
        call = call_of(subject.inputs())
        await applied(subject.backend, call)
        once = await subject.look(call.inputs)
        await applied(subject.backend, call)
        assert await subject.look(call.inputs) == once

    async def test_a_repeat_after_a_lost_answer_makes_nothing_new(self, subject: Subject) -> None:
        call = call_of(subject.inputs())
        with subject.losing_answers():
            lost = await subject.backend.apply(call)
        assert lost.result is Result.UNKNOWN
        assert lost.detail
        assert (await subject.backend.observe(call)).as_asked
        once = await subject.look(call.inputs)
        await applied(subject.backend, call)
        assert await subject.look(call.inputs) == once

    async def test_a_removal_whose_answer_was_lost_can_be_repeated(self, subject: Subject) -> None:
        call = call_of(subject.inputs())
        await applied(subject.backend, call)
        with subject.losing_answers():
            lost = await subject.backend.remove(call)
        assert lost.result is Result.UNKNOWN
        assert await subject.backend.remove(call) == Outcome.done()
        assert await subject.look(call.inputs) is None

    async def test_another_owner_sees_a_foreign_thing(self, subject: Subject) -> None:
        call = call_of(subject.inputs())
        await applied(subject.backend, call)
        seen = await subject.backend.observe(replace(call, owner=STRANGER))
        assert seen.presence is Presence.FOREIGN
        assert not seen.outputs
        assert "another owner" in seen.detail

    async def test_a_thing_without_a_mark_is_foreign(self, subject: Subject) -> None:
        call = call_of(subject.inputs())
        await subject.foreign(call.inputs)
        seen = await subject.backend.observe(call)
        assert seen.presence is Presence.FOREIGN
        assert "no mark" in seen.detail

    async def test_a_foreign_thing_is_never_altered(self, subject: Subject) -> None:
        call = call_of(subject.inputs())
        await subject.foreign(call.inputs)
        before = await subject.look(call.inputs)
        other, _ = subject.changed(call.inputs)
        for inputs in (call.inputs, other):
            outcome = await subject.backend.apply(replace(call, inputs=inputs))
            assert is_refused(outcome, "not_ours")
        assert await subject.look(call.inputs) == before

    async def test_a_thing_of_another_owner_is_never_altered(self, subject: Subject) -> None:
        theirs = call_of(subject.inputs(), owner=STRANGER)
        await applied(subject.backend, theirs)
        before = await subject.look(theirs.inputs)
        other, _ = subject.changed(theirs.inputs)
        for inputs in (theirs.inputs, other):
            assert is_refused(await subject.backend.apply(call_of(inputs)), "not_ours")
        assert await subject.look(theirs.inputs) == before

    async def test_a_foreign_thing_is_never_removed(self, subject: Subject) -> None:
        call = call_of(subject.inputs())
        await subject.foreign(call.inputs)
        before = await subject.look(call.inputs)
        assert is_refused(await subject.backend.remove(call), "not_ours")
        assert await subject.look(call.inputs) == before

    async def test_a_thing_of_another_owner_is_never_removed(self, subject: Subject) -> None:
        theirs = call_of(subject.inputs(), owner=STRANGER)
        await applied(subject.backend, theirs)
        before = await subject.look(theirs.inputs)
        assert is_refused(await subject.backend.remove(call_of(theirs.inputs)), "not_ours")
        assert await subject.look(theirs.inputs) == before

    async def test_of_two_owners_who_apply_at_once_one_gets_it(self, subject: Subject) -> None:
        inputs = subject.inputs()
        calls = [call_of(inputs), call_of(inputs, owner=STRANGER)]
        outcomes = await asyncio.gather(*(subject.backend.apply(call) for call in calls))
        seen = [await subject.backend.observe(call) for call in calls]
        assert {one.presence for one in seen} == {Presence.OURS, Presence.FOREIGN}
        for outcome, one in zip(outcomes, seen, strict=True):
            assert (outcome.result is Result.DONE) is (one.presence is Presence.OURS)

    async def test_an_update_is_made_in_place(self, subject: Subject) -> None:
        call = call_of(subject.inputs())
        await applied(subject.backend, call)
        before = await subject.look(call.inputs)
        other, fields = subject.changed(call.inputs)
        changed = replace(call, inputs=other, operation_key="k-2")
        seen = await subject.backend.observe(changed)
        assert set(seen.differs) == fields
        assert not seen.as_asked
        await applied(subject.backend, changed)
        assert await subject.look(call.inputs) != before
        assert set((await subject.backend.observe(call)).differs) == fields

    async def test_an_update_whose_answer_was_lost_can_be_repeated(self, subject: Subject) -> None:
        call = call_of(subject.inputs())
        await applied(subject.backend, call)
        other, _ = subject.changed(call.inputs)
        changed = replace(call, inputs=other, operation_key="k-2")
        with subject.losing_answers():
            assert (await subject.backend.apply(changed)).result is Result.UNKNOWN
        await applied(subject.backend, changed)

    async def test_what_is_removed_is_absent(self, subject: Subject) -> None:
        call = call_of(subject.inputs())
        await applied(subject.backend, call)
        assert await subject.backend.remove(call) == Outcome.done()
        assert await subject.look(call.inputs) is None
        assert (await subject.backend.observe(call)).presence is Presence.ABSENT

    async def test_removing_twice_is_fine(self, subject: Subject) -> None:
        call = call_of(subject.inputs())
        await applied(subject.backend, call)
        assert await subject.backend.remove(call) == Outcome.done()
        assert await subject.backend.remove(call) == Outcome.done()

    async def test_the_name_of_a_removed_thing_is_free(self, subject: Subject) -> None:
        call = call_of(subject.inputs())
        await applied(subject.backend, call)
        assert await subject.backend.remove(call) == Outcome.done()
        await applied(subject.backend, replace(call, owner=STRANGER))

    async def test_a_refusal_is_final_and_leaves_nothing(self, subject: Subject) -> None:
        call = call_of(subject.refused())
        assert is_refused(await subject.backend.apply(call), "refused")
        assert await subject.look(call.inputs) is None
        assert (await subject.backend.observe(call)).presence is Presence.ABSENT

    async def test_invalid_inputs_are_refused_for_good(self, subject: Subject) -> None:
        call = call_of(subject.invalid())
        assert (await subject.backend.observe(call)).presence is Presence.ABSENT
        assert is_refused(await subject.backend.apply(call), "invalid_inputs")

    async def test_a_world_that_does_not_answer_is_unavailable(self, subject: Subject) -> None:
        backend, call = subject.unreachable(), call_of(subject.inputs())
        with pytest.raises(BackendUnavailable):
            await backend.observe(call)
        for act in (backend.apply, backend.remove):
            outcome = await act(call)
            assert outcome.result is Result.NOT_DONE
            assert outcome.reason == "unavailable"
            assert not outcome.permanent
        await backend.close()

    async def test_closing_twice_is_fine(self, subject: Subject) -> None:
        await subject.backend.observe(call_of(subject.inputs()))
        await subject.backend.close()
        await subject.backend.close()
