"""The adapter toolbox turns what a body raises into the answers of the port."""

import asyncio
from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field

from busbar.backends.calls import (
    AnswerLost,
    InvalidInputs,
    Refused,
    deadline_of,
    observation_of,
    outcome_of,
    parse_inputs,
)
from busbar.backends.port import BackendUnavailable, Call, Observation, Outcome, Presence
from busbar.testing.contract import make_call

CALL = make_call({"name": "a"})
INVALID = InvalidInputs("name: too long", fields=("name",))
AWAY = BackendUnavailable("the server does not answer")
LOST = AnswerLost("the connection broke")


class Thing(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    sizes: list[Annotated[int, Field(ge=1)]] = []


async def outcome_after(error: Exception) -> Outcome:
    async def act(_call: Call, _until: float) -> Outcome:
        raise error

    return await outcome_of(act, CALL)


async def observation_after(error: Exception) -> Observation:
    async def observe(_call: Call, _until: float) -> Observation:
        raise error

    return await observation_of(observe, CALL)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (INVALID, Outcome.not_done("invalid_inputs", "name: too long", permanent=True)),
        (Refused("no: ask"), Outcome.not_done("refused", "no: ask", permanent=True)),
        (
            Refused("busy", reason="busy", permanent=False),
            Outcome.not_done("busy", "busy", permanent=False),
        ),
        (AWAY, Outcome.not_done("unavailable", str(AWAY), permanent=False)),
        (LOST, Outcome.unknown("answer_lost", str(LOST))),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_an_error_of_a_change_is_an_outcome(error: Exception, outcome: Outcome) -> None:
    assert await outcome_after(error) == outcome


async def test_a_change_that_runs_out_of_time_is_unknown() -> None:
    outcome = await outcome_after(TimeoutError())
    assert outcome == Outcome.unknown(
        "timeout", "the backend did not answer within 9 s; it may still make the change"
    )


async def test_an_error_that_the_toolbox_does_not_know_is_raised() -> None:
    with pytest.raises(KeyError):
        await outcome_after(KeyError("a bug"))


@pytest.mark.parametrize("error", [Refused("no: ask"), AWAY, LOST, TimeoutError()])
async def test_an_observation_without_an_answer_is_unavailable(error: Exception) -> None:
    with pytest.raises(BackendUnavailable, match=str(error) or "did not answer within 9 s"):
        await observation_after(error)


async def test_nothing_exists_under_invalid_inputs() -> None:
    seen = await observation_after(INVALID)
    assert seen == Observation(presence=Presence.ABSENT, detail="name: too long")


async def test_the_deadline_comes_before_the_caller_stops_waiting() -> None:
    now = asyncio.get_running_loop().time()
    assert now < deadline_of(CALL) < now + CALL.timeout


async def test_the_body_gets_the_call_and_its_deadline() -> None:
    given: list[object] = []

    async def act(call: Call, until: float) -> Outcome:
        given.extend([call, until <= deadline_of(call)])
        return Outcome.done()

    assert await outcome_of(act, CALL) == Outcome.done()
    assert given == [CALL, True]


def test_valid_inputs_are_a_model() -> None:
    assert parse_inputs(Thing, {"name": "a", "sizes": [1]}) == Thing(name="a", sizes=[1])


def test_every_wrong_field_is_named_once_and_no_value_is_quoted() -> None:
    with pytest.raises(InvalidInputs) as raised:
        parse_inputs(Thing, {"name": 5417, "sizes": [0, -5417]})
    assert raised.value.fields == ("name", "sizes")
    assert "/sizes/1 must be greater" in raised.value.detail
    assert raised.value.detail.endswith(
        "Correct the inputs of the step in the promise, or the spec they come from"
    )
    assert "5417" not in raised.value.detail
