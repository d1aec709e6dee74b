"""The in-process backend passes the suite, and its faults have their effects."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

import pytest

from busbar.backends.port import Backend, BackendUnavailable, Outcome, Presence, Result
from busbar.testing.contract import (
    BackendContract,
    BackendHarness,
    Inputs,
    apply_and_observe,
    make_call,
)
from busbar.testing.memory import LoseAnswer, LoseRequest, MemoryBackend, MemoryWorld, Refuse

NAMES = count()


class MemoryHarness(BackendHarness):
    backend: MemoryBackend

    def __init__(self) -> None:
        self.world = MemoryWorld()
        self.backend = MemoryBackend(world=self.world)

    def inputs(self) -> Inputs:
        return {"name": f"thing-{next(NAMES)}", "size": 1}

    def changed_inputs(self, inputs: Inputs) -> tuple[Inputs, set[str]]:
        return {**inputs, "size": inputs["size"] + 1}, {"size"}

    def refused_inputs(self) -> Inputs:
        inputs = self.inputs()
        self.world.refused[inputs["name"]] = Refuse(permanent=True)
        return inputs

    def invalid_inputs(self) -> Inputs:
        return {"size": 1}

    async def create_foreign(self, inputs: Inputs) -> None:
        self.world.create_foreign(inputs["name"], inputs)

    async def inspect(self, inputs: Inputs) -> object:
        thing = self.world.things.get(inputs["name"])
        return None if thing is None else replace(thing)

    @contextmanager
    def lose_answers(self) -> Iterator[None]:
        self.world.fail(LoseAnswer())
        yield
        assert not self.world.faults

    def unreachable_backend(self) -> Backend:
        return MemoryBackend(world=MemoryWorld(unavailable=True))


class TestMemory(BackendContract):
    @pytest.fixture
    def harness(self) -> MemoryHarness:
        return MemoryHarness()


async def test_every_effect_is_recorded_once() -> None:
    backend = MemoryBackend()
    call = make_call({"name": "a", "size": 1}, epoch=3, key="key")
    await apply_and_observe(backend, call)
    await apply_and_observe(backend, call)
    await apply_and_observe(backend, replace(call, inputs={"name": "a", "size": 2}))
    await backend.remove(call)
    await backend.remove(call)
    assert [effect.action for effect in backend.world.effects] == ["create", "update", "remove"]
    assert {(effect.operation_key, effect.epoch) for effect in backend.world.effects} == {
        ("key", 3)
    }


async def test_a_fault_is_consumed() -> None:
    backend, call = MemoryBackend(), make_call({"name": "a"})
    backend.world.fail(Refuse(), Refuse(permanent=True, detail="never"))
    once = await backend.apply(call)
    assert (once.result, once.reason, once.permanent) == (Result.NOT_DONE, "refused", False)
    assert await backend.apply(call) == Outcome.not_done("refused", "never", permanent=True)
    await apply_and_observe(backend, call)


async def test_a_lost_request_and_a_lost_answer_look_alike_until_observed() -> None:
    backend, call = MemoryBackend(), make_call({"name": "a"})
    backend.world.fail(LoseRequest(), LoseAnswer())
    assert (await backend.apply(call)).result is Result.UNKNOWN
    assert (await backend.observe(call)).presence is Presence.ABSENT
    assert (await backend.apply(call)).result is Result.UNKNOWN
    assert (await backend.observe(call)).presence is Presence.OURS


async def test_a_thing_is_ready_after_as_many_observations_as_the_world_says() -> None:
    backend, call = MemoryBackend(world=MemoryWorld(ready_after=2)), make_call({"name": "a"})
    await backend.apply(call)
    assert [(await backend.observe(call)).ready for _ in range(4)] == [False, False, True, True]


async def test_a_process_whose_lease_is_over_changes_nothing() -> None:
    backend = MemoryBackend()
    call = make_call({"name": "a", "size": 1}, epoch=2)
    await apply_and_observe(backend, call)
    zombie = replace(call, epoch=1)
    for outcome in (
        await backend.apply(replace(zombie, inputs={"name": "a", "size": 9})),
        await backend.remove(zombie),
    ):
        assert (outcome.result, outcome.reason, outcome.permanent) == (
            Result.NOT_DONE,
            "fenced",
            False,
        )
    assert (await backend.observe(call)).as_asked


async def test_a_world_that_became_unavailable_keeps_what_it_has() -> None:
    backend, call = MemoryBackend(), make_call({"name": "a"})
    await apply_and_observe(backend, call)
    backend.world.unavailable = True
    with pytest.raises(BackendUnavailable):
        await backend.observe(call)
    assert (await backend.remove(call)).reason == "unavailable"
    backend.world.unavailable = False
    assert (await backend.observe(call)).as_asked


async def test_two_backends_can_share_a_world() -> None:
    world, call = MemoryWorld(), make_call({"name": "a"})
    await apply_and_observe(MemoryBackend(world=world), call)
    assert (await MemoryBackend(world=world).observe(call)).as_asked
