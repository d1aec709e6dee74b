"""Dead letters in the view of an operation, in any order of the topics."""

from typing import Any

import pytest

from busbar.messages.base import EXAMPLE_OPERATION, Fact
from busbar.messages.delivery import DeadLettered, DeadLetterRecovered
from busbar.messages.policy import IntentDenied
from busbar.messages.resource import ResourceFailed, ResourceProvisioned
from busbar.messages.views import OperationView, evolve_operation


def fact(model: type[Fact], **fields: Any) -> Fact:
    return model.model_validate({**model.EXAMPLES[0], **fields, "operation": EXAMPLE_OPERATION})


KEPT = (DeadLettered.model_validate(DeadLettered.EXAMPLES[2]), "t1")
RECOVERED = (fact(DeadLetterRecovered), "t3")


def view_of(*facts: tuple[Fact, str]) -> OperationView | None:
    view = None
    for one, time in facts:
        view = evolve_operation(view, one, time=time)
    return view


@pytest.mark.parametrize(
    "end",
    [
        fact(IntentDenied, reason="discarded"),
        fact(ResourceFailed, reason="discarded"),
        fact(ResourceProvisioned),
    ],
)
def test_the_end_of_an_operation_is_shown_wherever_it_comes_among_facts_about_dead_letters(
    end: Fact,
) -> None:
    ended = (end, "t2")
    first, *others = [
        view_of(ended, KEPT, RECOVERED),
        view_of(KEPT, ended, RECOVERED),
        view_of(KEPT, RECOVERED, ended),
    ]
    assert first is not None
    assert first.ended
    assert first.updated == "t3"
    assert others == [first, first]


def test_an_operation_that_waited_for_a_dead_letter_goes_on() -> None:
    stuck, running = view_of(KEPT), view_of(KEPT, RECOVERED)
    assert stuck is not None
    assert running is not None
    assert (stuck.status, running.status, running.detail) == ("stuck", "running", "")


def test_a_recovery_alone_says_nothing() -> None:
    assert view_of(RECOVERED) is None
