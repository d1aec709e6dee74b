"""Decisions are found where everybody looks for them, and say the four things they have to."""

import re
from pathlib import Path

import pytest

from meta.checkout import ROOT, below, place, text
from meta.markdown import headings, links

FOLDER = ROOT / "docs" / "adr"
NAME = re.compile(r"(?P<number>[0-9]{4})-[a-z0-9]+(-[a-z0-9]+)*\.md")
STATUS = re.compile(r"^(Proposed|Accepted|Superseded by \[ADR [0-9]+\]\([^)]+\))\.", re.MULTILINE)
MENTION = re.compile(r"\bADR (?P<number>[0-9]{1,4})\b")
ADRS = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
A_PAGE = 120


def number_of(path: Path) -> int:
    match = NAME.fullmatch(path.name)
    assert match, f"{path.name} is not called NNNN-words-with-hyphens.md"
    return int(match["number"])


@pytest.mark.parametrize("path", ADRS, ids=lambda path: path.name)
def test_a_decision_has_its_four_headings_in_order(path: Path) -> None:
    titles = [title for level, title in headings(text(path)) if level == 2]
    assert titles[:4] == ["Status", "Context", "Decision", "Consequences"]


@pytest.mark.parametrize("path", ADRS, ids=lambda path: path.name)
def test_a_decision_is_titled_by_its_number_and_says_its_status(path: Path) -> None:
    assert headings(text(path))[0][1].startswith(f"{number_of(path)}. ")
    assert STATUS.search(text(path))


@pytest.mark.parametrize("path", ADRS, ids=lambda path: path.name)
def test_a_decision_fits_a_page(path: Path) -> None:
    assert len(text(path).splitlines()) <= A_PAGE


def test_decisions_are_numbered_without_gaps() -> None:
    assert [number_of(path) for path in ADRS] == list(range(1, len(ADRS) + 1))


def test_the_index_lists_every_decision_and_no_other() -> None:
    listed = {target for _, target in links(text(FOLDER / "README.md")) if NAME.fullmatch(target)}
    assert listed == {path.name for path in ADRS}


def test_every_decision_that_is_mentioned_exists() -> None:
    known = {number_of(path) for path in ADRS}
    lost = [
        f"{place(path)} {match.group()}"
        for path in (
            *below("services", "tests", "contracts", "infra", suffix=".py"),
            *below(".", suffix=".md"),
        )
        for match in MENTION.finditer(text(path))
        if int(match["number"]) not in known
    ]
    assert not lost
