"""Users can read what changed."""

from meta.checkout import ROOT, text
from meta.markdown import headings, links
from tools.release.changelog import read_fragments

A_SENTENCE_OR_SOME = 600


def test_each_fragment_is_named_after_its_topic_and_kind() -> None:
    read_fragments(ROOT)


def test_each_fragment_is_a_sentence_for_users() -> None:
    for fragment in read_fragments(ROOT):
        said = text(ROOT / fragment.path)
        where = str(fragment.path)
        assert said.endswith(".\n"), where
        assert said[0].isupper() or said.startswith(("`", "busbar")), where
        assert len(said) <= A_SENTENCE_OR_SOME, where
        assert not said.startswith(("#", "-", "*")), where


def test_the_changelog_says_where_unreleased_changes_are() -> None:
    changelog = ROOT / "CHANGELOG.md"
    assert (2, "[Unreleased]") in headings(text(changelog))
    assert "changelog.d" in {target.rstrip("/") for _, target in links(text(changelog))}
