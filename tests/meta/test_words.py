"""Names, messages and documentation use plain English and the field's terms.

`tests/meta/words.py` has the list, with the standard term for each word, and prints the places.
"""

import pytest

from meta.checkout import ROOT
from meta.words import EXEMPT, QUESTION_RULE, in_text, names_of_tests, search


def test_the_text_has_no_words_to_avoid() -> None:
    places = [f"{one.path}:{one.line} {one.rule}: {one.text}" for one in search()]
    assert places == [], "\n".join(["see the list in tests/meta/words.py", *places])


def test_the_names_of_tests_have_no_words_to_avoid() -> None:
    names = [f"{one.path}:{one.line} {one.rule}: {one.text}" for one in names_of_tests(ROOT)]
    assert names == [], "\n".join(names)


def test_every_exemption_is_there() -> None:
    assert [start for start, _ in EXEMPT if not (ROOT / start).exists()] == []


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("a.md", "It is told to nobody.", "nobody"),
        ("a.md", "It is told to the caller.", "tell"),
        ("a.md", "Kept for\never.", "forever"),
        ("a.py", "def ask_nobody(): ...\n", "nobody"),
        ("a.py", "class TellAll: ...\n", "tell"),
        ("a.py", "# how many letters wait\n", "letter"),
        ("a.py", "AT_ONCE = 5\n", "at once"),
        ("a.md", "A retry is no error.", "is no"),
        ("a.py", '"""Whether it is there."""\n', QUESTION_RULE),
        ("a.py", 'class A:\n    """What it holds."""\n', QUESTION_RULE),
    ],
)
def test_the_rule_sees_the_word(name: str, text: str, rule: str) -> None:
    assert rule in {one.rule for one in in_text(name, text)}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "Dead letters are kept; a dead\nletter names its reason."),
        ("a.md", "Lower-case letters, digits and hyphens; a letter, digit or hyphen."),
        ("a.md", "There is no limit, and it is no longer counted. There is no such topic."),
        ("a.md", "Recommended: intellectual, amended."),
        ("a.py", "def test_nobody_is_told() -> None: ...\n"),
        ("a.py", '"""Return the state."""\n'),
    ],
)
def test_the_rule_lets_plain_text_pass(name: str, text: str) -> None:
    assert list(in_text(name, text)) == []
