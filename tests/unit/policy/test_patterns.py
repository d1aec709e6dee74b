import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.kernel.resource import SLUG
from busbar.policy.domain.patterns import MAX_TEXT, compiled, found, problem_with


@pytest.mark.parametrize(
    "pattern",
    [f"^{SLUG}(/{SLUG}){{3}}$", "^[a-z]+(,|;)$", "^(a|b)*$", r"\(a+\)*", "[(a+)]*", "(?i)x"],
)
def test_a_pattern_that_ends_soon_is_accepted(pattern: str) -> None:
    assert problem_with(pattern) is None


@pytest.mark.parametrize(
    "pattern",
    ["^(a+)+$", "(a*)*", "(a{1,9})+", "((a+)b)*", "(?:a+){2,}", "(?P<x>a+){99}", "(a+?)*?"],
)
def test_a_repeat_inside_a_repeated_group_is_refused(pattern: str) -> None:
    assert "for ever" in str(problem_with(pattern))


@pytest.mark.parametrize("pattern", ["(", "[", "*", "(?<n>a)", "a{99999999999}", "\\"])
def test_what_is_no_regular_expression_is_refused(pattern: str) -> None:
    assert "not a regular expression" in str(problem_with(pattern))


def test_a_pattern_ends_at_the_very_end_and_knows_ascii_digits() -> None:
    assert found("^a$", "a")
    assert not found("^a$", "a\n")
    assert found("[$]", "$")
    assert found(r"\$", "$")
    assert not found(r"^\d$", "٣")


def test_a_text_that_is_too_long_is_not_tried() -> None:
    assert found("a", "a" * MAX_TEXT)
    assert found("a", "a" * (MAX_TEXT + 1)) is None


@given(st.text(alphabet="ab()[]*+?{}1,\\^$|", max_size=12))
def test_any_pattern_is_compiled_or_explained(pattern: str) -> None:
    if problem_with(pattern) is None:
        assert isinstance(compiled(pattern), re.Pattern)
