"""Every pattern of a field has words: no message shows a regular expression."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from busbar.gateway.routes.export import document
from busbar.messages.catalogue import MESSAGES
from busbar.messages.pattern_words import pattern_words
from busbar.policy.domain.promise import PromiseFile
from busbar.runtime.core.settings import Settings


def patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        schema = list(schema.values())
    if isinstance(schema, list):
        for inside in schema:
            yield from patterns(inside)


def of_product() -> list[str]:
    models: list[type[BaseModel]] = [*MESSAGES, Settings, PromiseFile]
    schemas = [model.model_json_schema() for model in models]
    return sorted({*patterns([*schemas, document()])})


@pytest.mark.parametrize("pattern", of_product())
def test_every_pattern_of_the_product_has_words(pattern: str) -> None:
    words = pattern_words(pattern)
    assert not words.startswith("match")
    assert "^" not in words


def test_a_choice_is_listed_and_an_unknown_pattern_is_shown() -> None:
    assert pattern_words("^(json|console)$") == "be one of json, console"
    assert pattern_words("^[a-z]+$") == "match ^[a-z]+$"
