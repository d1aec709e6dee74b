import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.kernel import json_pointer


def test_the_root_is_the_empty_pointer() -> None:
    assert json_pointer.join(()) == ""
    assert json_pointer.split("") == ()


def test_slashes_and_tildes_in_keys_are_escaped() -> None:
    assert json_pointer.join(("a/b", "~1", 0)) == "/a~1b/~01/0"


@given(parts=st.lists(st.text()))
def test_every_list_of_keys_comes_back(parts: list[str]) -> None:
    assert json_pointer.split(json_pointer.join(parts)) == tuple(parts)


def test_a_pointer_without_its_slash_is_refused() -> None:
    with pytest.raises(ValueError, match="start it with a slash"):
        json_pointer.split("spec")
