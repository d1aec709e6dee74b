import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.runtime.core import yaml
from busbar.runtime.core.document import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_VALUES,
    Document,
    InvalidDocumentError,
    Position,
)
from busbar.runtime.core.documents import load, load_all, read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, word) for word in ("nO", "oFF", "yEs", "no.", "on-call", "y/n", "yes?")),
        *((word, word) for word in ("2026-1-1", "26-01-01", "09:30", "12:99", "1:2:x", "::1")),
        *((word, word) for word in ("0o8", "0xg", "1e", ".", "-x", "<", "==", "1.2.3", "_1")),
        *((word, word) for word in ("'1'", '"true"', "'null'", "~x", "nUll", "tRUE")),
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, False) for word in ("false", "False", "FALSE")),
        *((word, None) for word in ("null", "Null", "NULL", "~")),
        ("00", 0),
        ("0x1F", 31),
        ("+5", 5),
        ("-0", 0),
        ("9007199254740991", 2**53 - 1),
        ("-9007199254740991", 1 - 2**53),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1.5e+3", -1500.0),
        ("01.5", 1.5),
        ("|\n  a\n  b", "a\nb"),
        (">\n  a\n  b", "a b"),
        ('"\\u20ac"', "€"),
        ('"\\ud83d\\ude00"', "😀"),
        ("[a, [], {}]", ["a", [], {}]),
        ("{a: , b}", {"a": None, "b": None}),
        ("a:\n- 1\n- b: 2", {"a": [1, {"b": 2}]}),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: Any) -> None:
    expected = value.strip("'\"") if text[:1] in "'\"" and "\\" not in text else value
    loaded = load(f"x: {text}").data["x"] if "\n-" not in text else load(text).data

    assert loaded == expected
    assert type(loaded) is type(expected)


@pytest.mark.parametrize(
    ("text", "problem", "line", "column"),
    [
        ("a: 1\nb: 2\na: 3", "the key 'a' is there twice", 3, 1),
        ("a:\n  - b: 1\n    b: 2", "there twice", 3, 5),
        ('{"a": 1, "a": 2}', "there twice", 1, 10),
        ("a: &x 1\nb: *x", "anchors", 1, 4),
        ("a: *x", "aliases", 1, 4),
        ("&a [*a]", "anchors", 1, 1),
        ("a: 1\n<<: *a", "a merge of mappings", 2, 1),
        ("a: 1\nb: !!python/object:os.system {}", "tags", 2, 4),
        ("a: !!str 1", "tags", 1, 4),
        ("a: ! 1", "tags", 1, 4),
        ("!x a", "tags", 1, 1),
        ("%YAML 1.1\n---\na: yes", "directives", 1, 1),
        ("%TAG ! tag:x,2000:\n---\na: 1", "directives", 1, 1),
        ("1: a", "the key 1 is not text", 1, 1),
        ("a: {true: 1}", "the key True is not text", 1, 5),
        ("? [a]\n: b", "used as a key", 1, 3),
        ("{[a]: b}", "used as a key", 1, 2),
        ("[" * (MAX_DEPTH + 1), "deep", 1, MAX_DEPTH + 1),
        ("[" * 100_000, "deep", 1, MAX_DEPTH + 1),
        ("a:\n  b: [1", "no closing ]", 2, 6),
        ("a: 'b", "a quote is not closed", 1, 4),
        ("a: b: c", "is not quoted", 1, 5),
        ("when: !${spec.x}", "YAML", 1, 9),
        ("--- a\n--- b", "more than one document", 2, 5),
        ("a: 1.0e+999", "too large", 1, 4),
        ("a: 9007199254740992", "beyond 2^53", 1, 4),
        ("a: -9007199254740992", "beyond 2^53", 1, 4),
        ("a: 0x" + "f" * 17, "beyond 2^53", 1, 4),
        ("a: " + "1" * 10_000, "beyond 2^53", 1, 4),
        ("a: 1.0e-999", "too small", 1, 4),
        ("on: push", "'on' is true in YAML 1.1 and a text in YAML 1.2", 1, 1),
        ("- 1\n- 12:30", "'12:30' is a number in base 60", 2, 3),
        ("a: .inf", "not a number in JSON", 1, 4),
        ("a: [-.INF, .nan]", "not a number in JSON", 1, 5),
        ('a: "\\ud800"', "half of a surrogate pair", 1, 4),
        ('a: "\\U0011FFFF"', "out of range", 1, 5),
        ('a: "\\UFFFFFFFF"', "out of range", 1, 5),
        ("a: \x07", "U+0007 is not allowed", 1, 4),
        ("a: 1\r\nb: x\u2028y", "U+2028 is not allowed", 2, 5),
        ('a: 1\n\n"\x85"', "U+0085 is not allowed", 3, 2),
        ("a: \ud800", "U+D800 is not allowed", 1, 4),
        ("a:\n\x00", "U+0000 is not allowed", 2, 1),
    ],
)
def test_what_surprises_is_refused_at_its_line_and_column(
    text: str, problem: str, line: int, column: int
) -> None:
    with pytest.raises(InvalidDocumentError) as caught:
        load(text)

    assert problem in caught.value.problem
    assert caught.value.fix
    assert caught.value.position is not None
    assert caught.value.position.line == line
    assert abs(caught.value.position.column - column) <= (1 if "YAML" in problem else 6)
    assert str(caught.value).startswith(f"line {line}, column ")


@pytest.mark.parametrize("text", ["", "# nothing", "---", "--- ~", "\ufeff"])
def test_an_empty_document_is_refused_where_one_is_wanted(text: str) -> None:
    with pytest.raises(InvalidDocumentError, match="empty"):
        load(text)


def test_several_documents_are_loaded_in_order_and_empty_ones_are_none() -> None:
    documents = load_all("a: 1\n---\n---\n- b\n...\n---\nc\n")

    assert [document.data for document in documents] == [{"a": 1}, None, ["b"], "c"]
    assert documents[2].position_of((0,)) == Position(4, 3)
    assert load_all("") == []


def test_a_few_lines_cannot_stand_for_many_values() -> None:
    with pytest.raises(InvalidDocumentError, match=f"more than {MAX_VALUES} values"):
        load_all("[" + "1," * (MAX_VALUES + 1) + "]", max_bytes=10**6)


def test_a_text_over_its_limit_is_refused_and_one_at_the_limit_is_not() -> None:
    with pytest.raises(InvalidDocumentError, match="larger than 1 kB"):
        load_all("é" * 513, max_bytes=1024)
    assert load_all("é" * 512, max_bytes=1024)[0].data == "é" * 512


def test_a_file_is_read_or_refused_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a: é", encoding="utf-8")
    assert read(file).data == {"a": "é"}

    file.write_bytes("a: é".encode("latin-1"))
    with pytest.raises(InvalidDocumentError, match="not UTF-8"):
        read(file)

    file.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(InvalidDocumentError, match="larger than 256 kB"):
        read(file)

    with pytest.raises(InvalidDocumentError, match="cannot be read"):
        read(tmp_path)


def test_a_place_has_the_position_of_its_key_and_of_its_parent_if_it_is_absent() -> None:
    document = load("a:\n  b:\n    - 1\n    - c: |\n        x\n'd': {e: 1}\n")

    def at(*place: str | int) -> tuple[int, int]:
        position = document.position_of(place)
        return position.line, position.column

    assert at() == (1, 1)
    assert at("a") == (1, 1)
    assert at("a", "b") == (2, 3)
    assert at("a", "b", 0) == (3, 7)
    assert at("a", "b", 1, "c") == (4, 7)
    assert at("d", "e") == (6, 7)
    assert at("a", "b", 7, "x") == (2, 3)
    assert at("nowhere") == (1, 1)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(1 - 2**53, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)


def exactly(left: Any, right: Any) -> bool:
    """Return whether both are the same JSON: 1 is not 1.0, and 0.0 is not -0.0."""
    if isinstance(left, float) and isinstance(right, float):
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(exactly(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(exactly, left, right))
    return type(left) is type(right) and bool(left == right)


@given(JSON, st.sampled_from([None, 2, "\t"]), st.sampled_from([(", ", ": "), (",", ":")]))
def test_every_json_document_is_loaded_as_json_reads_it(
    value: Any, indent: int | str | None, separators: tuple[str, str]
) -> None:
    text = json.dumps(value, indent=indent, separators=separators)

    (document,) = load_all(text)

    assert exactly(document.data, json.loads(text))


@given(JSON)
def test_json_is_also_yaml_if_its_numbers_are(value: Any) -> None:
    try:
        (document,) = yaml.load_all(json.dumps(value, indent="\t"))
    except InvalidDocumentError as error:
        assert "in YAML 1.1 and the number" in error.problem  # noqa: PT017 - either is right
    else:
        assert exactly(document.data, value)


@given(JSON)
def test_json_that_is_not_ascii_is_loaded_unchanged_or_refused(value: Any) -> None:
    try:
        text = json.dumps(value, ensure_ascii=False)
        (document,) = load_all(text)
    except InvalidDocumentError as error:
        assert "is not allowed" in error.problem  # noqa: PT017 - either outcome is right
    else:
        assert exactly(document.data, json.loads(text))


def places(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inside: Any = value.items() if isinstance(value, dict) else ()
    inside = enumerate(value) if isinstance(value, list) else inside
    return [at, *(place for key, child in inside for place in places(child, (*at, key)))]


@given(st.dictionaries(st.from_regex(r"\A[a-z]{1,4}\Z"), JSON, max_size=3))
def test_every_place_has_a_position_inside_the_text_and_later_places_come_later(value: Any) -> None:
    text = json.dumps(value, indent=1)
    document = load(text)
    lines = text.splitlines()

    positions = [document.position_of(place) for place in places(value)]

    assert all(1 <= one.line <= len(lines) for one in positions)
    assert all(one.column <= len(lines[one.line - 1]) + 1 for one in positions)
    order = [(one.line, one.column) for one in positions]
    assert order == sorted(order)


@given(st.text(alphabet="ab:-[]{}&*!|>'\"# \t\n?,0.~%\\ux", max_size=40) | st.text(max_size=20))
def test_any_text_is_loaded_as_json_values_or_refused_in_a_sentence(text: str) -> None:
    try:
        documents = load_all(text)
    except InvalidDocumentError as error:
        assert error.problem  # noqa: PT017 - either outcome is right
        assert error.fix  # noqa: PT017 - either outcome is right
    else:
        for document in documents:
            assert isinstance(document, Document)
            assert json.loads(json.dumps(document.data, allow_nan=False)) == document.data
