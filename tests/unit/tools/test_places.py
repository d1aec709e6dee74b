"""A release edits the lines that it knows, and refuses to guess where one has gone."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.kernel.errors import ConfigurationError
from tools.release.places import STATUS, VERSIONS, Place, publish_formats, set_version
from tools.release.version import Version

ROOT = Path(__file__).resolve().parents[3]
HERE = Place(Path("a.toml"), r'^version = "(?P<value>[^"]+)"$')


@pytest.mark.parametrize("place", [*VERSIONS, STATUS], ids=lambda place: place.pattern)
def test_each_place_is_in_this_checkout_once(place: Place) -> None:
    text = (ROOT / place.path).read_text(encoding="utf-8")
    assert "brand-new" in place.with_value(text, "brand-new")


@given(before=st.text(), after=st.text())
def test_everything_around_the_value_stays(before: str, after: str) -> None:
    text = '{}\nversion = "1"\n{}'
    assert HERE.with_value(text.format(before, after), "2") == text.replace("1", "2").format(
        before, after
    )


@pytest.mark.parametrize("text", ["", 'version = "1"\nversion = "2"\n', "version = 1\n"])
def test_a_place_that_is_missing_or_doubtful_is_an_error(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"a\.toml has [02] lines .* not one"):
        HERE.with_value(text, "2")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"pyproject\.toml is missing"):
        set_version(tmp_path, Version(1, 2, 3))


def test_the_formats_are_published_once(tmp_path: Path) -> None:
    file = tmp_path / STATUS.path
    file.parent.mkdir(parents=True)
    file.write_text('a\nFORMATS: Final[Status] = "draft"\nb\n', encoding="utf-8")
    assert publish_formats(tmp_path)
    assert file.read_text(encoding="utf-8") == 'a\nFORMATS: Final[Status] = "published"\nb\n'
    assert not publish_formats(tmp_path)
