"""Plain scalars: read if YAML 1.1 and 1.2 agree on them, refused otherwise.

The readers of both versions that the loader is compared with are other code: PyYAML's own resolver
and constructor for 1.1, and the regular expressions of the specification's table for 1.2.
"""

import math
import re
from typing import Any

import pytest
import yaml as pyyaml
from hypothesis import example, given
from hypothesis import strategies as st

from busbar.runtime.core.document import InvalidDocumentError, Position
from busbar.runtime.core.yaml_scalars import value_of

HERE = Position(1, 1)


def in_1_1(text: str) -> Any:
    """The value by YAML 1.1, or an object that equals nothing."""
    if re.fullmatch("[yYnN]", text):
        return text in "yY"  # the specification has them, PyYAML does not
    loader = pyyaml.SafeLoader("")
    tag = loader.resolve(pyyaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]  # the stub has no types here
    node = pyyaml.ScalarNode(tag, text)
    known = ("str", "int", "float", "bool", "null")
    if tag.rpartition(":")[2] not in known:
        return object()
    try:
        return loader.construct_object(node)
    except ValueError:
        return object()


def in_1_2(text: str) -> Any:
    """The value by the table in section 10.3.2 of YAML 1.2.2."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text.lower() == "true"
    for pattern, base in (("[-+]?[0-9]+", 10), ("0o([0-7]+)", 8), ("0x([0-9a-fA-F]+)", 16)):
        if found := re.fullmatch(pattern, text):
            return int(found[found.re.groups], base)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", text):
        return float(text)
    if re.fullmatch(r"[-+]?(\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN", text):
        return math.inf
    return text


def alike(left: Any, right: Any) -> bool:
    return type(left) is type(right) and bool(left == right)


def readable(text: str) -> bool:
    """Return whether JSON and other readers can hold the value at all."""
    value = in_1_2(text)
    if isinstance(value, float):
        return math.isfinite(value) and (value != 0 or not re.search("[1-9]", text.lower()))
    return not isinstance(value, int) or abs(value) < 2**53


WORDS = [
    *("yes", "no", "on", "off", "y", "n", "Y", "NO", "Off", "nO"),
    *("017", "0o17", "08", "00", "0", "0x1F", "-0x1F", "0b11", "0x_1", "1_000", "1_0.5", "0_"),
    *("12:30", "1:30:15", "09:30", "0:30", "12:99", "1:30.5", "-1:30"),
    *(".5", "+.5", "-.5", "+1", "1.", "1e3", "1.0e3", "1.0e+3", "1E+5", ".5e-1", "1.5E-3"),
    *("~", "null", "Null", "=", "<<", "2026-01-31", "2026-1-1", "2026-01-31T12:00:00Z"),
    *("2026-1-1 1:00:00", "1.2.3", "a", ".", "-", "", "._", "._1", "nan", ".inf", "-.INF", ".NaN"),
]
SCALAR = (
    st.sampled_from(WORDS)
    | st.text("0123456789+-._:eExobinfTZyYnN ~=<aA", max_size=12)
    | st.from_regex(r"\A[-+]?[0-9_]{1,4}([.:][0-9_]{0,3}){0,2}([eE][-+]?[0-9]{1,2})?\Z")
)


@given(SCALAR)
@example("1e3")
@example("+.5")
def test_what_is_read_means_the_same_in_both_versions_and_everything_alike_is_read(
    text: str,
) -> None:
    agreed = alike(in_1_1(text), in_1_2(text)) and text not in ("+.5", "-.5")
    refusal = refused(text)
    if refusal is not None:
        assert not (agreed and readable(text)), refusal
        assert "quotes" in refusal.fix
    else:
        assert alike(value_of(text, HERE), in_1_1(text))
        assert alike(value_of(text, HERE), in_1_2(text))


def refused(text: str) -> InvalidDocumentError | None:
    try:
        value_of(text, HERE)
    except InvalidDocumentError as error:
        return error
    return None


@pytest.mark.parametrize("word", WORDS)
def test_every_word_that_is_refused_can_be_written_as_the_fix_says(word: str) -> None:
    refusal = refused(word)
    written = re.search("or write (.*)$", refusal.fix) if refusal else None
    if written:
        value = value_of(written[1], HERE)
        assert value in (in_1_1(word), in_1_2(word))
        assert alike(in_1_1(written[1]), in_1_2(written[1]))


@pytest.mark.parametrize(
    ("word", "says", "fix"),
    [
        ("no", "'no' is false in YAML 1.1 and a text in YAML 1.2", "or write false"),
        ("017", "'017' is octal in YAML 1.1 and the number 17 in YAML 1.2", "or write 17"),
        ("0o17", "'0o17' is a text in YAML 1.1 and the number 15", "or write 15"),
        ("1e30", "'1e30' is a text in YAML 1.1 and the number 1.0e+30", "or write 1.0e+30"),
        ("1_000", "'1_000' is a number in YAML 1.1 and a text", "quotes to mean text"),
        ("12:30", "'12:30' is a number in base 60", "quotes to mean text"),
        ("2026-01-31", "'2026-01-31' is a date", "quotes to mean text"),
        ("<<", "a merge of mappings", "quotes"),
    ],
)
def test_a_refusal_says_what_each_version_reads(word: str, says: str, fix: str) -> None:
    with pytest.raises(InvalidDocumentError) as caught:
        value_of(word, HERE)
    assert says in caught.value.problem
    assert fix in caught.value.fix
