"""The adapter that makes nothing is truthful about the inputs that it got."""

from dataclasses import replace

import pytest

from busbar.backends.port import Presence
from busbar.testing import LifecycleContract, LifecycleHarness, NoopBackend
from busbar.testing.contract import OTHER_OWNER, OWNER, Inputs, apply_and_observe, make_call


class NoopHarness(LifecycleHarness):
    """Its whole world is what it remembers."""

    backend: NoopBackend

    def __init__(self) -> None:
        self.backend = NoopBackend()

    def inputs(self) -> Inputs:
        return {"name": "thing", "size": 1}

    def changed_inputs(self, inputs: Inputs) -> tuple[Inputs, set[str]]:
        return {"name": inputs["name"], "size": None, "colour": None}, {"size", "colour"}

    async def inspect(self, _inputs: Inputs) -> object:
        applied = self.backend._applied.get(OWNER)
        return None if applied is None else dict(applied)


class TestNoop(LifecycleContract):
    @pytest.fixture
    def harness(self) -> NoopHarness:
        return NoopHarness()


async def test_outputs_are_the_inputs() -> None:
    seen = await apply_and_observe(NoopBackend(), make_call({"size": 1}))
    assert seen.ready
    assert seen.outputs == {"size": 1}


async def test_every_owner_has_a_namespace_of_its_own() -> None:
    backend, call = NoopBackend(), make_call({"name": "a"})
    await apply_and_observe(backend, call)
    other = replace(call, owner=OTHER_OWNER)
    assert (await backend.observe(other)).presence is Presence.ABSENT
