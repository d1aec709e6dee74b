"""JSON that means one thing only."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar.messages.codec.json import MAX_LEVELS, dump_json, load_json
from busbar.messages.envelope import Unreadable

# A shared machine may pause: the outcome counts here, speed has its own test.
relaxed = settings(deadline=None)

REFUSED = {
    "nothing at all": b"",
    "only white space": b" \n",
    "bytes that are not UTF-8": b'{"a":"\xff"}',
    "an overlong UTF-8 sequence": b'"\xc0\xa0"',
    "a surrogate encoded in UTF-8": b'"\xed\xa0\x80"',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "NaN": b"[NaN]",
    "Infinity": b"[Infinity]",
    "-Infinity": b"[-Infinity]",
    "a number too large for a float": b"1e400",
    "an escaped lone high surrogate": b'"\\ud800"',
    "an escaped lone low surrogate": b'"\\udc00"',
    "surrogates the wrong way round": b'"\\udc00\\ud800"',
    "a second document": b"{} {}",
    "text behind the document": b"{}x",
    "a trailing comma": b"[1,]",
    "single quotes": b"{'a':1}",
    "a comment": b"[1] // one",
    "a raw control character": b'"a\nb"',
    "a leading zero": b"01",
    "a plus sign": b"+1",
    "an unfinished document": b'{"a":',
    "one above 64 bits": b"18446744073709551616",
    "one below 64 bits": b'{"a": -9223372036854775809}',
    "an integer of 10,000 digits": b"[" + b"9" * 10_000 + b"]",
    "an integer beyond 64 bits in compact JSON": b'{"a":99999999999999999999}',
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_a_document_that_is_not_strict_json_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable) as refused:
        load_json(data)
    assert refused.value.code == "bad_json"
    assert refused.value.detail.endswith(".")


ACCEPTED: dict[str, tuple[bytes, Any]] = {
    "null": (b"null", None),
    "a bare string": (b'"text"', "text"),
    "white space around": (b' \t\r\n{ "a" : [ 1 , 2 ] }\n', {"a": [1, 2]}),
    "the largest integer": (b"[ 18446744073709551615 ]", [2**64 - 1]),
    "the smallest integer": (b"[ -9223372036854775808 ]", [-(2**63)]),
    "a long fraction": (b"[ 0.12345678901234567890123 ]", [0.12345678901234568]),
    "many digits with an exponent": (b"12345678901234567890123e-2", 1.2345678901234568e20),
    "many digits inside a string": (b'[ "12345678901234567890123" ]', ["12345678901234567890123"]),
    "a proper surrogate pair": (b'"\\ud83d\\ude00"', "\U0001f600"),
    "an escaped NUL": (b'"\\u0000"', "\0"),
    "brackets inside a string": (b'["' + b"[{" * 200 + b'"]', ["[{" * 200]),
    "brackets behind an escaped quote": (b'["\\"' + b"[" * 99 + b'\\\\"]', ['"' + "[" * 99 + "\\"]),
    "the same key in two objects": (b'[ {"a": 1}, {"a": 2} ]', [{"a": 1}, {"a": 2}]),
    "the same key on two levels": (b'{"a": {"a": 1}}', {"a": {"a": 1}}),
    "a hundred shallow arrays": (b"[" + b",".join([b"[]"] * 100) + b"]", [[]] * 100),
}


@pytest.mark.parametrize(("data", "value"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_strict_document_is_read(data: bytes, value: Any) -> None:
    assert load_json(data) == value


DUPLICATES = {
    "in compact JSON": b'{"twin":1,"twin":2}',
    "in spaced JSON": b'{ "twin": 1, "twin": 1 }',
    "deep inside": b'{"a":[{"b":{"twin":1,"c":[],"twin":{}}}]}',
    "spelled with an escape": b'{"twin":1,"\\u0074win":2}',
    "hidden by an escaped colon": b'{"twin":1,"twin":2,"b":"\\u003a"}',
    "hidden by a nested escaped colon": b'{"twin":"\\u003A","a":"\\u003a","twin":""}',
    "between more than 64 arrays": b'{"twin":[' + b"[]," * 99 + b'0],"twin":0}',
}


@pytest.mark.parametrize("data", DUPLICATES.values(), ids=DUPLICATES.keys())
def test_a_duplicate_key_is_refused_by_its_name(data: bytes) -> None:
    with pytest.raises(Unreadable) as refused:
        load_json(data, what="event")
    assert refused.value.code == "duplicate_attribute"
    assert refused.value.detail == (
        'The event has the key "twin" twice in one object; send it once.'
    )


def test_a_long_or_strange_duplicate_key_is_shown_short_and_on_one_line() -> None:
    key = "\\n" + "k" * 500
    with pytest.raises(Unreadable) as refused:
        load_json(f'{{"{key}":1,"{key}":2}}'.encode())
    assert len(refused.value.detail) < 150
    assert refused.value.detail.isprintable()


def test_the_place_of_a_syntax_error_is_reported() -> None:
    with pytest.raises(Unreadable, match="line 2 column 3: unexpected"):
        load_json(b"[1,\n  x]")


def test_the_byte_that_is_not_utf_8_is_reported() -> None:
    with pytest.raises(Unreadable, match="not UTF-8 at byte 6"):
        load_json(b'{"a":"\xff"}')


@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_64_levels_are_read_and_65_are_refused(start: str, end: str) -> None:
    each = start.count("[") + start.count("{")
    fits = MAX_LEVELS // each
    load_json((start * fits + "1" + end * fits).encode())
    with pytest.raises(Unreadable, match="nests deeper than 64 levels"):
        load_json((start * (fits + 1) + "1" + end * (fits + 1)).encode())


@pytest.mark.parametrize("levels", [65, 255, 1_000, 1_025, 100_000])
@pytest.mark.parametrize("start", [b"[", b'{"a":', b'[{"a":'])
@pytest.mark.parametrize("closed", [True, False])
def test_any_deeper_document_is_refused(levels: int, start: bytes, *, closed: bool) -> None:
    ends = {b"[": b"]", b'{"a":': b"}", b'[{"a":': b"}]"}
    data = start * levels + (b"1" + ends[start] * levels if closed else b"")
    with pytest.raises(Unreadable) as refused:
        load_json(data)
    assert refused.value.code == "bad_json"


@pytest.mark.timeout(60)  # by the square of its length, each would take hours
def test_a_million_bytes_of_brackets_escapes_or_digits_are_read() -> None:
    documents = [
        b"[" + b"[[[]]]," * 120_000 + b"1]",
        b"[" + b'"\\\\\\"",' * 120_000 + b"1 ]",
        b"[" + b"1234567890123456789," * 45_000 + b"1 ]",
        b"[0." + b"1" * 900_000 + b" ]",
    ]
    for data in documents:
        assert load_json(data) == json.loads(data)


def test_a_refusal_never_repeats_the_content() -> None:
    for broken in (b'{"a":hunter2}', b'["hunter2"', b'"hunter2" hunter2', b'{"a":"hunter2\xff"}'):
        with pytest.raises(Unreadable) as refused:
            load_json(broken)
        assert "hunter2" not in str(refused.value)


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


@relaxed
@given(values)
def test_what_is_written_is_read_as_the_same(value: Any) -> None:
    assert load_json(dump_json(value)) == value


@relaxed
@given(values, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_every_spelling_of_a_document_is_read_as_the_same(
    value: Any, ascii_only: Any, indent: int | str | None
) -> None:
    spelled = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert load_json(spelled) == value


@st.composite
def spelled_strings(draw: st.DrawFn) -> str:
    """A short JSON string of awkward characters, each raw or escaped."""
    spellings = {
        ":": [":", "\\u003a", "\\u003A"],
        '"': ['\\"', "\\u0022"],
        "\\": ["\\\\", "\\u005c"],
        "[": ["[", "\\u005b"],
        "}": ["}", "\\u007D"],
        "a": ["a", "\\u0061"],
        "9": ["9" * 20],
    }
    chars = draw(st.lists(st.sampled_from(sorted(spellings)), max_size=3))
    return '"' + "".join(draw(st.sampled_from(spellings[char])) for char in chars) + '"'


spaces = st.sampled_from(["", "", "", " ", "\n"])
numbers = st.sampled_from(["0", "-1", "1.50", "9" * 19, "9" * 20, "-" + "9" * 19, "9" * 25 + ".0"])


def _array(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(spaces, st.lists(inner, max_size=3)).map(
        lambda drawn: "[" + drawn[0] + ("," + drawn[0]).join(drawn[1]) + "]"
    )


def _object(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.lists(st.tuples(spelled_strings(), spaces, inner), max_size=4)
    return members.map(lambda all_: "{" + ",".join(f"{k}:{s}{v}" for k, s, v in all_) + "}")


documents = st.recursive(
    numbers | spelled_strings(), lambda inner: _array(inner) | _object(inner), max_leaves=12
)


class _NotStrictError(Exception):
    pass


def _reference(text: str) -> Any:
    """The same rules, slowly, on the standard library."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise _NotStrictError
        return dict(pairs)

    def narrow(digits: str) -> int:
        if not -(2**63) <= int(digits) < 2**64:
            raise _NotStrictError
        return int(digits)

    return json.loads(text, object_pairs_hook=unique, parse_int=narrow)


@settings(relaxed, max_examples=200)
@given(documents)
def test_the_fast_checks_agree_with_a_slow_reference(text: str) -> None:
    try:
        expected = _reference(text)
    except _NotStrictError:
        with pytest.raises(Unreadable):
            load_json(text.encode())
    else:
        assert load_json(text.encode()) == expected


@relaxed
@given(st.binary(max_size=50))
def test_any_bytes_are_a_value_or_unreadable(data: bytes) -> None:
    try:
        value = load_json(data)
    except Unreadable:
        return
    assert value == json.loads(data)


NOT_WRITTEN = {
    "NaN": float("nan"),
    "Infinity": [{"a": float("inf")}],
    "-Infinity": {"a": (1, -float("inf"))},
    "an integer of 65 bits": 2**64,
    "a lone surrogate": "\ud800",
    "a key that is a number": {1: 2},
    "an object of Python": object(),
    "a set": {"a": {1, 2}},
}


@pytest.mark.parametrize("value", NOT_WRITTEN.values(), ids=NOT_WRITTEN)
def test_a_value_that_json_cannot_hold_is_not_written(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^The data "):
        dump_json(value)


@pytest.mark.parametrize("levels", [65, 300, 5_000])
def test_a_value_that_nests_too_deep_is_not_written(levels: int) -> None:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    with pytest.raises(ValueError, match="The data"):
        dump_json(value)


def test_null_and_nan_text_are_written_although_nan_is_refused() -> None:
    assert (
        dump_json({"a": None, "b": "NaN", "c": [1.5, None]})
        == b'{"a":null,"b":"NaN","c":[1.5,null]}'
    )


def test_orjson_still_lets_pass_what_this_module_exists_for() -> None:
    # When this goes red, a check in json.py may have become unnecessary.
    assert orjson.loads(b'{"a":1,"a":2}') == {"a": 2}
    assert orjson.loads(b"18446744073709551616") == 2.0**64
    assert orjson.dumps(float("nan")) == b"null"
