"""Whole numbers in intents are read as the published schemas say (JSON Schema 2020-12)."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from busbar.messages.resource import ApplyResource


@pytest.mark.parametrize("value", [0, 3, 3.0, 1e3, 3.5, -1, -1.0, "3", True, None, [3]])
def test_an_intent_takes_the_numbers_that_its_schema_takes(value: Any) -> None:
    data = {**ApplyResource.EXAMPLES[0], "expected_generation": value}
    schema = Draft202012Validator(ApplyResource.model_json_schema())
    try:
        read: Any = ApplyResource.model_validate(data).expected_generation
        fits = True
    except ValidationError:
        read, fits = value, False
    assert fits is schema.is_valid(data)
    assert read == value
    assert not (fits and isinstance(read, float))
