"""Every fact has a sentence of its own, or is listed as silent."""

from typing import ClassVar

import pytest

from busbar.messages.base import Fact
from busbar.messages.catalogue import FACTS
from busbar.messages.narrative import SILENT, narrate, undescribed


@pytest.mark.parametrize("model", FACTS, ids=lambda model: model.TYPE)
def test_every_fact_has_its_own_sentence_or_is_silent(model: type[Fact]) -> None:
    sentences = [narrate(model.model_validate(example)) for example in model.EXAMPLES]
    assert sentences
    assert undescribed(model.TYPE) not in sentences
    assert {sentence is None for sentence in sentences} == {model in SILENT}


def test_only_facts_of_the_catalogue_are_silent() -> None:
    assert set(FACTS) >= SILENT


def test_a_fact_without_a_sentence_is_shown_by_its_type() -> None:
    class ResourceMoved(Fact):
        TYPE: ClassVar[str] = "busbar.resource.moved.v1"

    assert narrate(ResourceMoved()) == "A fact of type busbar.resource.moved.v1 was recorded."
