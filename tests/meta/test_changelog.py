"""Users can read what changed."""

import re
from pathlib import Path

import pytest

from meta.checkout import ROOT, text
from meta.markdown import headings, links

FRAGMENT = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\.(added|changed|fixed)\.md")
FRAGMENTS = sorted((ROOT / "changelog.d").iterdir())
A_SENTENCE_OR_SOME = 600


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.name)
def test_a_fragment_is_named_after_its_topic_and_kind(path: Path) -> None:
    assert FRAGMENT.fullmatch(path.name), "name it <topic>.<added|changed|fixed>.md"


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.name)
def test_a_fragment_is_a_sentence_for_users(path: Path) -> None:
    said = text(path)
    assert said.endswith(".\n")
    assert said[0].isupper() or said.startswith(("`", "busbar"))
    assert len(said) <= A_SENTENCE_OR_SOME
    assert not said.startswith(("#", "-", "*"))


def test_the_changelog_says_where_unreleased_changes_are() -> None:
    changelog = ROOT / "CHANGELOG.md"
    assert (2, "[Unreleased]") in headings(text(changelog))
    assert "changelog.d" in {target.rstrip("/") for _, target in links(text(changelog))}
