"""Fragments become a part of the changelog, word for word."""

import datetime as dt
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.kernel.errors import ConfigurationError
from tools.release.changelog import (
    FRAGMENTS,
    Fragment,
    read_fragments,
    section,
    with_section,
)
from tools.release.version import Version

DAY = dt.date(2030, 2, 1)
ONE = Version(1, 2, 3)
HEAD = "# Changelog\n\nAbout it.\n\n## [Unreleased]\nSee the folder.\n"
OLDER = "## [1.2.2] – 2030-01-01\n\n### Fixed\n- Something.\n"  # noqa: RUF001 - as it is written


def fragment(kind: str, text: str, topic: str = "a") -> Fragment:
    return Fragment(FRAGMENTS / f"{topic}.{kind}.md", topic, kind, text)


def write(root: Path, **files: str) -> None:
    (root / FRAGMENTS).mkdir(exist_ok=True)
    for name, text in files.items():
        path = root / FRAGMENTS / f"{name.replace('__', '.').replace('_', '-')}.md"
        path.write_text(text, encoding="utf-8")


def test_a_release_lists_its_changes_by_kind() -> None:
    changes = [fragment("fixed", "C."), fragment("added", "A\nb."), fragment("fixed", "D.\n\nE.")]
    assert section(ONE, DAY, changes) == (
        "## [1.2.3] – 2030-02-01\n"  # noqa: RUF001 - as it is written
        "\n### Added\n- A\n  b.\n"
        "\n### Fixed\n- C.\n- D.\n\n  E.\n"
    )


LINE = st.text(alphabet="ab`*#-1. ä", min_size=1).filter(lambda line: line.strip() != "")
TEXT = st.tuples(LINE, st.lists(LINE | st.just("")), LINE).map(
    lambda parts: "\n".join([parts[0], *parts[1], parts[2]])
)


@given(st.lists(TEXT, min_size=1, max_size=6))
def test_every_text_is_kept(texts: list[str]) -> None:
    made = section(ONE, DAY, [fragment("fixed", text) for text in texts])
    head, items = made.removesuffix("\n").split("### Fixed\n")
    assert head == section(ONE, DAY, []) + "\n"
    found = re.split(r"^- ", items, flags=re.MULTILINE)[1:]
    assert [re.sub(r"^  ", "", each, flags=re.MULTILINE) for each in found] == [
        *(f"{re.sub('^  ', '', text)}\n" for text in texts[:-1]),
        re.sub("^  ", "", texts[-1]),
    ]


@given(st.lists(TEXT, min_size=1, max_size=3))
def test_whatever_a_fragment_says_stays_inside_of_its_item(texts: list[str]) -> None:
    made = section(ONE, DAY, [fragment("added", text) for text in texts])
    outside = [line for line in made.splitlines() if line and not line.startswith("  ")]
    assert len([line for line in outside if line.startswith("#")]) == 2
    assert len([line for line in outside if line.startswith("- ")]) == len(texts)


@pytest.mark.parametrize("older", ["", OLDER])
def test_the_newest_release_is_above_the_older_ones(older: str) -> None:
    before = HEAD + (f"\n{older}" if older else "")
    after = with_section(before, ONE, "## [1.2.3]\n\n### Added\n- A.\n")
    assert after == f"{HEAD}\n## [1.2.3]\n\n### Added\n- A.\n" + (f"\n{older}" if older else "")
    assert re.findall(r"^## \[(.*?)\]", after, re.MULTILINE) == (
        ["Unreleased", "1.2.3"] + (["1.2.2"] if older else [])
    )


def test_a_changelog_without_a_place_or_with_this_version_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"no line `## \[Unreleased\]`"):
        with_section("# Changelog\n", ONE, "## [1.2.3]\n")
    with pytest.raises(ConfigurationError, match=r"a part about 1\.2\.3 already"):
        with_section(with_section(HEAD, ONE, "## [1.2.3]\n"), ONE, "## [1.2.3]\n")


def test_fragments_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path, b__fixed="B.\n", a_c__added="A,\nin two lines.\n", README="About it.\n")
    found = read_fragments(tmp_path)
    assert [(each.topic, each.kind, each.text) for each in found] == [
        ("a-c", "added", "A,\nin two lines."),
        ("b", "fixed", "B."),
    ]


@pytest.mark.parametrize("name", ["a", "a__removed", "A__fixed", "a__b__fixed"])
def test_a_fragment_of_another_name_is_refused_and_not_left_out(name: str, tmp_path: Path) -> None:
    write(tmp_path, **{name: "Text.\n"})
    with pytest.raises(ConfigurationError, match=r"Name it <topic>\.<added\|changed\|fixed>\.md"):
        read_fragments(tmp_path)


def test_an_empty_fragment_is_refused(tmp_path: Path) -> None:
    write(tmp_path, a__fixed=" \n\n")
    with pytest.raises(ConfigurationError, match=r"a\.fixed\.md is empty"):
        read_fragments(tmp_path)


def test_without_a_folder_there_are_no_fragments(tmp_path: Path) -> None:
    assert read_fragments(tmp_path) == []
