"""The strict reader of JSON files, compared with Python's own on valid and invalid texts."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.runtime.core.document import MAX_DEPTH, MAX_VALUES, InvalidDocumentError
from busbar.runtime.core.json_text import NotJsonError, load

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(1 - 2**53, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)
SPACES = st.text(" \t\n\r", max_size=3)


@given(VALUES, st.booleans(), st.sampled_from([None, 1, "\t"]), SPACES, SPACES)
def test_every_json_text_is_read_as_python_reads_it(
    value: Any, ascii_only: Any, indent: Any, before: str, after: str
) -> None:
    text = before + json.dumps(value, ensure_ascii=ascii_only, indent=indent) + after
    assert repr(load(text).data) == repr(json.loads(text))


@given(st.text('{}[]",:\\/ubnt0123456789eE+-.truefalsn \t\n', max_size=20))
def test_a_text_is_json_here_if_and_only_if_it_is_json_elsewhere(text: str) -> None:
    def no_constant(name: str) -> None:
        raise ValueError(name)

    try:
        expected = json.loads(text, parse_constant=no_constant)
    except ValueError:
        with pytest.raises(NotJsonError):
            load(text)
        return
    try:
        assert repr(load(text).data) == repr(expected)
    except InvalidDocumentError as error:
        assert not isinstance(error, NotJsonError)  # noqa: PT017 - JSON, and refused


@given(VALUES, st.data())
def test_a_broken_text_is_refused_at_a_place_in_it(value: Any, data: st.DataObject) -> None:
    text = json.dumps(value, indent=1)
    at = data.draw(st.integers(0, len(text)))
    broken = text[:at] + data.draw(st.sampled_from(["'", "#", "NaN", ",", "\x01", "}"])) + text[at:]
    refusal = refused(broken)
    assert refusal is None or refusal.fix
    if refusal is not None and refusal.position is not None:
        assert 1 <= refusal.position.line <= broken.count("\n") + 1
        assert refusal.position.column >= 1


def refused(text: str) -> InvalidDocumentError | None:
    try:
        load(text)
    except InvalidDocumentError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("text", "problem", "line", "column"),
    [
        ('{"a": 1,\n "a": 2}', "the key 'a' is there twice", 2, 2),
        ('{"a": 1, "\\u0061": 2}', "the key 'a' is there twice", 1, 10),
        ('{"a":\r\n9007199254740992}', "beyond 2^53", 2, 1),
        ('{"a": -1e999}', "too large", 1, 7),
        ('{"a": 1e-999}', "too small", 1, 7),
        ('["\\ud800"]', "half of a surrogate pair", 1, 2),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "deep", 1, MAX_DEPTH + 1),
        ("[" + "1," * MAX_VALUES + "1]", "values", 1, 2 * MAX_VALUES),
    ],
)
def test_json_that_readers_disagree_on_is_refused(
    text: str, problem: str, line: int, column: int
) -> None:
    with pytest.raises(InvalidDocumentError) as caught:
        load(text, max_bytes=10**6)
    assert problem in caught.value.problem
    assert not isinstance(caught.value, NotJsonError)
    assert caught.value.position is not None
    assert (caught.value.position.line, caught.value.position.column) == (line, column)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the text ends, where a value must be"),
        ("{'a': 1}", "where a key in double quotes must be"),
        ('{"a" 1}', "'1' is there, where : must be"),
        ("[1 2]", "'2' is there, where a comma or ] must be"),
        ("[1,]", "']' is there, where a value must be"),
        ("[01]", "'01' is there, where a value must be"),
        ("[NaN]", "'NaN' is there, where a value must be"),
        ("[True]", "'True' is there"),
        ('["a\tb"]', "must be escaped"),
        ('["\\x41"]', "must be escaped"),
        ('["a', "without its quote"),
        ("1 2", "where the end of the document must be"),
        ("// a\n1", "'/' is there"),
    ],
)
def test_what_is_not_json_is_said_in_words(text: str, problem: str) -> None:
    with pytest.raises(NotJsonError) as caught:
        load(text)
    assert problem in caught.value.problem


def test_places_have_the_position_of_their_key() -> None:
    document = load('{\n\t"a": [\n1,\n {"b": 2}]}')
    places = [(), ("a",), ("a", 0), ("a", 1), ("a", 1, "b"), ("a", 7)]
    found = [document.position_of(place) for place in places]
    assert [(at.line, at.column) for at in found] == [
        (1, 1),
        (2, 2),
        (3, 1),
        (4, 2),
        (4, 3),
        (2, 2),
    ]
