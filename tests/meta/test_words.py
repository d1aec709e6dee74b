"""Names, messages and documentation use plain English and the field's terms.

`tests/meta/words.py` has the list, with the standard term for each word, and prints the places.
"""

from collections import Counter

import pytest

from meta.checkout import ROOT
from meta.words import EXEMPT, QUESTION_RULE, folder_of, in_text, names_of_tests, search

ALLOWED: dict[str, int] = {
    ".": 3,
    "changelog.d": 19,
    "contracts": 21,
    "docs": 9,
    "docs/adr": 101,
    "docs/how-to": 8,
    "schemas/dead-letter": 5,
    "schemas/policy": 2,
    "services/busbar/cli": 7,
    "services/busbar/gateway": 5,
    "services/busbar/kernel": 19,
    "services/busbar/messages": 42,
    "services/busbar/notifier": 1,
    "services/busbar/provisioner": 1,
    "services/busbar/runtime/consume": 43,
    "services/busbar/runtime/core": 20,
    "services/busbar/runtime/host": 13,
    "services/busbar/runtime/http": 4,
    "services/busbar/runtime/kafka": 47,
    "services/busbar/runtime/outbox": 1,
    "services/busbar/runtime/secrets": 16,
    "services/busbar/runtime/store": 11,
    "services/busbar/runtime/store/engines": 27,
    "services/busbar/runtime/store/model": 9,
    "services/busbar/runtime/store/parts": 17,
    "services/busbar/runtime/store/schema": 3,
    "services/busbar/runtime/store/sql": 26,
    "services/busbar/runtime/tasks": 16,
    "services/busbar/runtime/telemetry": 28,
    "services/busbar/sdk": 25,
    "tests/contract": 26,
    "tests/e2e": 1,
    "tests/faults": 1,
    "tests/integration": 46,
    "tests/replay": 1,
    "tests/support": 13,
    "tests/unit/cli": 4,
    "tests/unit/kernel": 18,
    "tests/unit/messages": 20,
    "tests/unit/notifier": 3,
    "tests/unit/policy": 4,
    "tests/unit/provisioner": 1,
    "tests/unit/runtime": 124,
    "tests/unit/sdk": 5,
}
"""The words that may still be in a folder. Numbers go down only; the aim is an empty table."""
ALLOWED_IN_NAMES = 124
"""The names of test functions that may still have one."""
FOUND = search()
COUNTS = Counter(folder_of(one.path) for one in FOUND)


@pytest.mark.parametrize("folder", sorted(COUNTS))
def test_a_folder_has_no_more_words_to_avoid_than_it_may(folder: str) -> None:
    places = [
        f"{one.path}:{one.line} {one.rule}: {one.text}"
        for one in FOUND
        if folder_of(one.path) == folder
    ]
    allowed = ALLOWED.get(folder, 0)
    assert len(places) <= allowed, "\n".join(
        [f"see the list in tests/meta/words.py for {folder}", *places]
    )


def test_the_names_of_tests_have_no_more_words_to_avoid_than_they_may() -> None:
    names = [f"{one.path}:{one.line} {one.rule}: {one.text}" for one in names_of_tests(ROOT)]
    assert len(names) <= ALLOWED_IN_NAMES, "\n".join(names)


def test_every_exemption_and_every_allowed_folder_is_there() -> None:
    assert [start for start, _ in EXEMPT if not (ROOT / start).exists()] == []
    assert [folder for folder in ALLOWED if not (ROOT / folder).exists()] == []


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
