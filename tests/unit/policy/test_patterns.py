import re
import time
from importlib.metadata import version

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.kernel.resource import SLUG
from busbar.policy.domain.patterns import MAX_TEXT, problem_with, search


@pytest.mark.parametrize(
    "pattern",
    [f"^{SLUG}(/{SLUG}){{3}}$", "^[a-z]+(,|;)$", "^(a+)+$", r"\(a+\)*", "(?i)x", r"^\p{L}+$", ""],
)
def test_a_regular_expression_is_accepted(pattern: str) -> None:
    assert problem_with(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "problem", "fix"),
    [
        ("(?=a)", "lookaround", "one pattern per condition"),
        ("(?!a)", "lookaround", "not_matches"),
        ("(?<=a)", "lookaround", "one pattern per condition"),
        ("(?<!a)", "lookaround", "one pattern per condition"),
        (r"(a)\1", "backreferences", "write out the texts"),
        ("(?P<n>a)(?P=n)", "backreferences", "write out the texts"),
        (r"(?<n>a)\k<n>", "backreferences", "write out the texts"),
        ("(?>a)", "possessive", "plain repeat"),
        ("a++", "possessive", "plain repeat"),
        (r"\u20AC", r"\u", r"\x{20AC}"),
        (r"a\Z", r"\Z", "write $"),
        (r"\cA", r"\c", r"\x01"),
        (r"\p{Script=Greek}", "name and a value", r"\p{Greek}"),
        ("[]", "empty or not closed", r"[\]]"),
        ("[^]", "empty or not closed", "(?s:.)"),
        ("a{1001}", "more than 1000 times", "maxLength"),
        ("(a{100}){100}", "more than 1000 times", "maxLength"),
        (r"\p{L}{500}", "too large", "maxLength"),
        ("a" * 100_000, "too large", "maxLength"),
        (r"\C", "half a character", "(?s:.)"),
        ("(", "not a regular expression", "Syntax"),
        ("*", "not a regular expression", "Syntax"),
        ("\\", "not a regular expression", "Syntax"),
        ("\ud800", "not valid Unicode", "surrogate"),
    ],
)
def test_what_cannot_be_searched_for_is_refused_with_what_to_write_instead(
    pattern: str, problem: str, fix: str
) -> None:
    refused = problem_with(pattern)

    assert refused is not None
    assert problem in refused.problem
    assert fix in refused.fix
    assert len(refused.problem) < 300


def test_an_escaped_backslash_before_a_c_is_not_the_escape_for_a_byte() -> None:
    assert search(r"^\\C$", "\\C")


@pytest.mark.parametrize(
    ("pattern", "text", "occurs"),
    [
        ("b", "abc", True),
        ("^b", "abc", False),
        ("^a$", "a\n", False),
        ("^b", "a\nb", False),
        ("(?m)^b", "a\nb", True),
        ("[$]", "$", True),
        (r"^\d$", "٣", False),
        (r"^\w$", "é", False),
        (r"^\p{L}$", "é", True),
        ("^.$", "😀", True),
        ("^.$", "\n", False),
        ("^[^a]$", "\n", True),
        (r"\s", "\u00a0", False),
        ("b", "a\0b", True),
        (r"^\x{20AC}$", "€", True),
        ("A", "a", False),
        ("(?i)A", "a", True),
        ("", "", True),
    ],
)
def test_a_pattern_is_searched_for_as_documented(pattern: str, text: str, *, occurs: bool) -> None:
    assert search(pattern, text) is occurs


def test_a_text_that_cannot_be_tried_is_neither_a_match_nor_none() -> None:
    assert search("a", "a" * MAX_TEXT)
    assert search("a", "a" * (MAX_TEXT + 1)) is None
    assert search("a", "a\ud800") is None


@pytest.mark.parametrize(
    "pattern", ["^(a+)+$", "(a|a)*$", "(.*a){20}!", ".*a.{500}$", "(x+x+)+y", "(a?){500}a{500}!"]
)
def test_no_pattern_takes_long_on_the_longest_text(pattern: str) -> None:
    assert problem_with(pattern) is None
    started = time.process_time()

    search(pattern, "a" * (MAX_TEXT - 1) + "b")

    assert time.process_time() - started < 1


@given(st.text(alphabet="ab()[]*+?{}1,\\^$|C", max_size=12), st.text(max_size=20))
def test_any_pattern_is_searched_for_or_explained(pattern: str, text: str) -> None:
    refused = problem_with(pattern)
    if refused is None:
        assert search(pattern, text) in {True, False, None}
    else:
        assert refused.problem
        assert refused.fix


PLAIN = st.recursive(
    st.sampled_from(["a", "b", "[ab]", "[^a]", r"\d", ".", "1", "é"]),
    lambda inner: (
        st.builds("({}|{})".format, inner, inner)
        | st.builds("(?:{}{})".format, inner, inner)
        | st.builds("{}{}".format, inner.map("({})".format), st.sampled_from("*+?"))
    ),
    max_leaves=6,
)


@given(
    PLAIN,
    st.sampled_from(["", "^"]),
    st.sampled_from(["", "$"]),
    st.text(alphabet="ab1é٣\n", max_size=8),
)
def test_plain_patterns_mean_what_they_mean_in_ecma_262(
    pattern: str, start: str, end: str, text: str
) -> None:
    ecma = re.compile(f"{start}(?:{pattern}){end.replace('$', chr(92) + 'Z')}", re.ASCII)

    assert search(f"{start}(?:{pattern}){end}", text) is (ecma.search(text) is not None)


def test_the_library_is_recent_enough_to_read_named_groups_as_ecma_262_writes_them() -> None:
    assert version("google-re2") >= "1.1.2025"
    assert problem_with("(?<n>a)") is None
