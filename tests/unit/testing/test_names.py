"""The package offers what it says it offers."""

import pytest

from busbar import testing


@pytest.mark.parametrize("name", testing.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(testing, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        testing.Nothing  # noqa: B018 - reading it is the test
