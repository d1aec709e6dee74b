"""Deadlines, invalid inputs, refusals and lost answers: the parts that every adapter needs.

An adapter runs the body of ``observe`` in :func:`observation_of` and the bodies of ``apply`` and
``remove`` in :func:`outcome_of`. Both give the body its deadline and turn the errors below into
the answers of the port, so that a body only has to raise what happened:

===========================  ==========================================  ==========================
a body raises                ``apply`` and ``remove`` end with           ``observe`` ends with
===========================  ==========================================  ==========================
:class:`InvalidInputs`       not done, ``invalid_inputs``, permanent     absent
:class:`Refused`             not done, as the error says                 ``BackendUnavailable``
``BackendUnavailable``       not done, ``unavailable``                   ``BackendUnavailable``
:class:`AnswerLost`          unknown, ``answer_lost``                    ``BackendUnavailable``
``TimeoutError``             unknown, ``timeout``                        ``BackendUnavailable``
===========================  ==========================================  ==========================
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from busbar.backends.port import (
    UNAVAILABLE,
    BackendUnavailable,
    Call,
    Observation,
    Outcome,
    Presence,
)
from busbar.messages.validation import field_errors, sentence

DEADLINE_SHARE: Final = 0.9
"""The part of a call's timeout that an adapter uses. Its own answer, which knows whether anything
was sent, has to come before the caller stops waiting."""

Observe = Callable[[Call, float], Awaitable[Observation]]
Act = Callable[[Call, float], Awaitable[Outcome]]
Inputs = TypeVar("Inputs", bound=BaseModel)


class Refused(Exception):
    """The backend certainly did not do what was asked for last.

    ``detail`` is a sentence for people that ends with the remedy, ``reason`` the code of the
    outcome. A retry cannot help unless ``permanent`` is false.
    """

    def __init__(self, detail: str, *, reason: str = "refused", permanent: bool = True) -> None:
        super().__init__(detail)
        self.detail = detail
        self.reason = reason
        self.permanent = permanent

    @property
    def outcome(self) -> Outcome:
        """The outcome of the call."""
        return Outcome.not_done(self.reason, self.detail, permanent=self.permanent)


class InvalidInputs(Refused):
    """No backend could meet the inputs. ``fields`` names the wrong ones."""

    def __init__(self, detail: str, *, fields: tuple[str, ...]) -> None:
        super().__init__(detail, reason="invalid_inputs")
        self.fields = fields


class AnswerLost(Exception):
    """A change was sent and no answer came: it may or may not have been carried out."""


def parse_inputs(
    model: type[Inputs], inputs: Mapping[str, Any], *, whole: str = "inputs"
) -> Inputs:
    """Return ``inputs`` as ``model``. Errors never quote a value.

    ``whole`` is the field to name for an error that concerns no single field.

    Raises:
        InvalidInputs: the model does not accept them.
    """
    try:
        return model.model_validate(dict(inputs))
    except ValidationError as error:
        wrong = field_errors(error)
        names = (str(one.location[0]) if one.location else whole for one in wrong)
        raise InvalidInputs(
            f"{sentence(wrong)}. Correct the inputs of the step in the promise, or the spec they"
            " come from",
            fields=tuple(dict.fromkeys(names)),
        ) from None  # pydantic's error may quote values


def deadline_of(call: Call) -> float:
    """Return the time on the running loop's clock by which an adapter has to be finished."""
    return asyncio.get_running_loop().time() + call.timeout * DEADLINE_SHARE


async def observation_of(observe: Observe, call: Call) -> Observation:
    """Run ``observe`` with its deadline.

    Raises:
        BackendUnavailable: there is no answer, or none that says what exists.
    """
    try:
        return await observe(call, deadline_of(call))
    except InvalidInputs as error:  # nothing of ours can exist under such inputs
        return Observation(presence=Presence.ABSENT, detail=error.detail)
    except (Refused, AnswerLost) as error:
        raise BackendUnavailable(str(error)) from error
    except TimeoutError as error:
        raise BackendUnavailable(_no_answer(call)) from error


async def outcome_of(act: Act, call: Call) -> Outcome:
    """Run ``act``, the body of ``apply`` or ``remove``, with its deadline."""
    try:
        return await act(call, deadline_of(call))
    except Refused as error:
        return error.outcome
    except BackendUnavailable as error:
        return Outcome.not_done(UNAVAILABLE, str(error), permanent=False)
    except AnswerLost as error:
        return Outcome.unknown("answer_lost", str(error))
    except TimeoutError:
        return Outcome.unknown("timeout", f"{_no_answer(call)}; it may still make the change")


def _no_answer(call: Call) -> str:
    return f"the backend did not answer within {call.timeout * DEADLINE_SHARE:g} s"
