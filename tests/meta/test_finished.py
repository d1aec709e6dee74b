"""The main line is finished; work that is left is an issue, not a comment."""

import re

import pytest

from meta.checkout import below, files, place, text

# Spelt in two pieces, so that this file keeps its own rule.
LEFT_TO_DO = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
NOT_WRITTEN = re.compile(r"\bNotImplemented" r"Error\b")
SUFFIXES = (".py", ".md", ".toml", ".yaml", ".yml", ".in", ".sh", "Makefile", ".xml", ".example")


def test_no_file_says_that_something_is_left_to_do() -> None:
    unfinished = [
        place(path, number)
        for path in files()
        if path.name.endswith(SUFFIXES)
        for number, line in enumerate(text(path).splitlines(), start=1)
        if LEFT_TO_DO.search(line)
    ]
    assert not unfinished


def test_product_code_has_no_unwritten_function() -> None:
    unwritten = [
        place(path, number)
        for path in below("services", "tools", suffix=".py")
        for number, line in enumerate(text(path).splitlines(), start=1)
        if NOT_WRITTEN.search(line)
    ]
    assert not unwritten


@pytest.mark.parametrize("line", ["# TO" + "DO: later", "x = 1  # FIX" + "ME", "XX" + "X"])
def test_the_rule_sees_the_words(line: str) -> None:
    assert LEFT_TO_DO.search(line)
