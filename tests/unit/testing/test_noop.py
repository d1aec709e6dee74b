"""The adapter that makes nothing is truthful all the same."""

from dataclasses import replace

import pytest

from busbar.backends.port import Outcome, Presence
from busbar.testing.contract import STRANGER, applied, call_of, environment
from busbar.testing.noop import NoopBackend

CALL = call_of({"size": 1})


@pytest.fixture
def backend() -> NoopBackend:
    return NoopBackend(environment())


async def test_nothing_is_there_before_it_is_applied(backend: NoopBackend) -> None:
    assert (await backend.observe(CALL)).presence is Presence.ABSENT


async def test_what_was_applied_is_ready_and_gives_its_inputs_back(backend: NoopBackend) -> None:
    seen = await applied(backend, CALL)
    assert seen.ready
    assert seen.outputs == {"size": 1}
    assert (await backend.observe(replace(CALL, owner=STRANGER))).presence is Presence.ABSENT


async def test_other_inputs_differ_until_they_are_applied(backend: NoopBackend) -> None:
    await applied(backend, CALL)
    other = replace(CALL, inputs={"size": None, "colour": None})
    assert (await backend.observe(other)).differs == ("colour", "size")
    await applied(backend, other)


async def test_what_was_removed_is_absent(backend: NoopBackend) -> None:
    await applied(backend, CALL)
    assert await backend.remove(CALL) == Outcome.done()
    assert await backend.remove(CALL) == Outcome.done()
    assert (await backend.observe(CALL)).presence is Presence.ABSENT
