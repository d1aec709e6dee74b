import json
import math
import re
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.kernel.canonical import canonical_json
from busbar.kernel.ids import (
    NAMESPACE,
    event_id,
    operation_id,
    operation_key,
    operation_text,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([1e16, 1e-7, 1.5e300, -0.0, 2**63, 2**64, -(2**63) - 1])
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@given(VALUES)
def test_a_value_has_the_spelling_that_digests_were_made_of_since_the_first_release(
    value: object,
) -> None:
    spelt = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical_json(value) == canonical_json(value, parsed=True) == spelt.encode()


@pytest.mark.parametrize("number", [1e16, -1e-7, 1.5e300, 6.103515625e-05])
@pytest.mark.parametrize(
    "text", ["", '"', "\\", '\\"', "\\\\", '"\\', "12e4", ":1e5,", "sha256:12e4"]
)
def test_an_exponent_is_found_behind_any_text_and_in_none(number: float, text: str) -> None:
    for value in (number, [text, number], {text: number}, {"a": {text: [text, number, text]}}):
        spelt = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert re.search(r"[0-9]e[+-]", spelt)
        assert canonical_json(value, parsed=True) == spelt.encode()


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_json_does_not_have_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"a": [number]})


@given(TEXT, TEXT, TEXT, st.integers(0, 10**6))
def test_names_are_uuids_of_version_5_over_their_parts(
    service: str, source: str, id_: str, index: int
) -> None:
    def expected(*parts: object) -> UUID:
        return uuid5(NAMESPACE, json.dumps(parts, ensure_ascii=False, separators=(",", ":")))

    assert event_id(service, source, id_, index) == str(
        expected("event", service, source, id_, index)
    )
    assert operation_id(source, id_) == expected("operation", source, id_)
    assert operation_text(source, id_) == str(operation_id(source, id_))
    assert operation_key(service, source, index, id_) == str(
        expected("effect", service, source, index, id_)
    )
