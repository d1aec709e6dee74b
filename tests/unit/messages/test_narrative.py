"""Every fact has a sentence of its own, or is listed as silent."""

from typing import Any, ClassVar

import pytest

from busbar.messages.base import Fact
from busbar.messages.catalogue import FACTS
from busbar.messages.intervention import InterventionAllowed
from busbar.messages.narrative import SILENT, narrate, undescribed
from busbar.messages.policy import IntentAllowed, IntentDenied, IntentExpired
from busbar.messages.request import RequestAllowed

KEY = "21fe31dfa154a261626bf854046fd227"


@pytest.mark.parametrize("model", FACTS, ids=lambda model: model.TYPE)
def test_every_fact_has_its_own_sentence_or_is_silent(model: type[Fact]) -> None:
    sentences = [narrate(model.model_validate(example)) for example in model.EXAMPLES]
    assert sentences
    assert undescribed(model.TYPE) not in sentences
    assert {sentence is None for sentence in sentences} == {model in SILENT}


def test_only_facts_of_the_catalogue_are_silent() -> None:
    assert set(FACTS) >= SILENT


@pytest.mark.parametrize(
    ("caller", "asked"),
    [
        (
            {"principal": "payments-ci", "verified": "signature", "key": KEY},
            "Asked by payments-ci, signed with key 21fe31df….",
        ),
        (
            {"principal": "admin", "verified": "relayed", "key": KEY},
            "Asked by admin, relayed by the gateway.",
        ),
        (
            {
                "principal": "provisioner",
                "verified": "signature",
                "key": KEY,
                "onbehalfof": "payments-ci",
            },
            "Asked by provisioner for payments-ci, signed with key 21fe31df….",
        ),
        (
            {"principal": None, "verified": "unsigned"},
            "It is not known who asked: it is not signed.",
        ),
    ],
)
@pytest.mark.parametrize(
    "model", [IntentAllowed, IntentDenied, IntentExpired, InterventionAllowed, RequestAllowed]
)
def test_a_decision_says_who_asked_and_how_that_is_known(
    model: type[Fact], caller: dict[str, Any], asked: str
) -> None:
    fact = model.model_validate({**model.EXAMPLES[0], "caller": {**caller, "position": 3}})
    assert str(narrate(fact)).endswith(f". {asked}")


def test_a_fact_without_a_sentence_is_shown_by_its_type() -> None:
    class ResourceMoved(Fact):
        TYPE: ClassVar[str] = "busbar.resource.moved.v1"

    assert narrate(ResourceMoved()) == "A fact of type busbar.resource.moved.v1 was recorded."
