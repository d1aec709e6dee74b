"""Whole numbers as JSON Schema 2020-12 has them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from busbar.kernel.numbers import MAX_WHOLE, is_whole, normalized

NUMBERS = (
    st.integers(-MAX_WHOLE, MAX_WHOLE)
    | st.floats(-MAX_WHOLE, MAX_WHOLE, allow_nan=False)
    | st.integers(-MAX_WHOLE, MAX_WHOLE).map(float)
)


@given(NUMBERS | st.booleans() | st.text(max_size=3) | st.none())
def test_a_number_is_whole_exactly_when_json_schema_calls_it_an_integer(value: Any) -> None:
    assert is_whole(value) is Draft202012Validator({"type": "integer"}).is_valid(value)


@given(
    st.recursive(
        NUMBERS | st.booleans() | st.text(max_size=3),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    )
)
def test_normalizing_changes_how_a_value_is_written_but_not_the_value(value: Any) -> None:
    normal = normalized(value)
    assert normal == value
    assert normalized(normal) == normal
    assert normalized(json.loads(json.dumps(normal))) == normal


@pytest.mark.parametrize("value", [1e20, float("nan"), float("inf"), 2.0**53, True, "1", 1.5])
def test_what_is_not_a_whole_number_or_too_large_for_one_stays(value: Any) -> None:
    assert not is_whole(value)
    assert normalized(value) is value
