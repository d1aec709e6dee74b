"""A mistake in a YAML text is named in plain English, where people look for it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.runtime.core import yaml
from busbar.runtime.core.document import InvalidDocumentError

JARGON = re.compile(
    r"token|scalar|<block|<stream|<document|mapping values|sequence entries|flow|node content|%"
)


@pytest.mark.parametrize(
    ("text", "problem", "position"),
    [
        ("team payments\nenvironment: dev\n", "there is no colon after the key", (1, 1)),
        ("team payments\n\nenvironment: dev\n", "there is no colon after the key", (1, 1)),
        ("a: 1\nteam payments\n", "there is no colon after the key", (2, 1)),
        ("spec:\n\tpartitions: 3\n", "a tab is used as indentation", (2, 1)),
        ("team: a\n  environment: b\n", "this line is not indented like", (2, 14)),
        ("a:\n- 1\n b: 2\n", "this line is not indented like", (3, 3)),
        ("spec:\n    a: 1\n  b: 2\n", "this line does not continue the lines", (3, 3)),
        ("- a\nb: 1\n", "this line does not continue the lines", (2, 1)),
        ("a: b: c\n", "a text that has a colon and a blank in it is not quoted", (1, 5)),
        ('a: "x\nb: 2\n', "a quote is not closed", (1, 4)),
        ("a: [1, 2\nb: 3\n", "a list in brackets has no closing ]", (1, 4)),
        ("a: {b: 1\n", "what is in braces has no closing }", (1, 4)),
        ("a: [1]]\n", "a closing bracket is too many", (1, 7)),
        ("a: @x\n", "a text cannot begin with @", (1, 4)),
        ("a: - b\n", "a list cannot begin behind a key", (1, 4)),
        ('a: "\\q"\n', "a backslash in double quotes", (1, 6)),
        ("a: 1\n...\nb: 2\n", "a document ends here", (3, 1)),
        ("a: |x\n b\n", "only a line break can follow | or >", (1, 5)),
        ("[1,,]\n", "a value is missing", (1, 4)),
        ("a: *\n", "a text cannot begin with *, & or !", (1, 5)),
    ],
)
def test_a_mistake_is_named_in_plain_words_where_it_was_made(
    text: str, problem: str, position: tuple[int, int]
) -> None:
    with pytest.raises(InvalidDocumentError) as caught:
        yaml.load_all(text)
    assert caught.value.problem.startswith(problem)
    assert caught.value.position is not None
    assert (caught.value.position.line, caught.value.position.column) == position
    assert not JARGON.search(caught.value.problem + caught.value.fix)


@given(st.text(alphabet="ab: \n\t-[]{}\"'|>,.#", max_size=30))
def test_each_mistake_has_a_place_in_the_text(text: str) -> None:
    wrong: InvalidDocumentError | None = None
    try:
        yaml.load_all(text)
    except InvalidDocumentError as error:
        wrong = error
    if wrong is not None:
        assert wrong.problem
        assert wrong.fix
        assert wrong.position is None or wrong.position.line <= text.count("\n") + 1
