"""Versions of releases: what is one, and which is the higher."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.kernel.errors import ConfigurationError
from tools.release.version import Version

NUMBERS = st.tuples(*[st.integers(min_value=0, max_value=999_999_999)] * 3)


@given(NUMBERS)
def test_a_version_is_read_as_it_is_written(numbers: tuple[int, int, int]) -> None:
    version = Version(*numbers)
    assert Version.parse(str(version)) == version
    assert Version.of_tag(version.tag) == version


@given(NUMBERS, NUMBERS)
def test_versions_are_ordered_by_their_numbers(
    one: tuple[int, int, int], other: tuple[int, int, int]
) -> None:
    assert (Version(*one) < Version(*other)) == (one < other)


@given(st.text(alphabet="0123456789.v-+ab \n٣", max_size=12))
def test_whatever_is_read_is_written_the_same(text: str) -> None:
    try:
        version = Version.parse(text)
    except ConfigurationError:
        return
    assert str(version) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.2",
        "1.2.3.4",
        "v1.2.3",
        "01.2.3",
        "1.2.3-rc.1",
        "1.2.3+5",
        " 1.2.3",
        "1.2.3\n",
        "1.2.x",
        "-1.2.3",
        "٣.2.1",
    ],
)
def test_anything_else_is_refused_and_the_error_shows_a_version(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"three numbers .* such as 1\.2\.3"):
        Version.parse(text)


@pytest.mark.parametrize("tag", ["1.2.3", "v1.2", "v1.0.0rc1", "v01.0.0", "vv1.0.0", "version"])
def test_a_tag_without_a_version_releases_nothing(tag: str) -> None:
    assert Version.of_tag(tag) is None
