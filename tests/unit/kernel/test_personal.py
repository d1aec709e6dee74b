"""Sealed personal values in JSON: found, replaced and hidden, whatever is around them."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from busbar.kernel.personal import (
    ERASED,
    MASK,
    SEALED,
    hidden,
    is_pseudonym,
    masked,
    parts_of,
    replaced,
    sealed_in,
    sealed_text,
    without_text,
)

SUBJECT = "0123456789abcdef" * 2
TEXT = f"v1.{SUBJECT}.{'A' * 24}"
OTHER = f"v1.{SUBJECT}.{'B' * 24}"

leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(), st.sampled_from([{SEALED: TEXT}])
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=20,
)


def test_only_an_object_with_the_one_member_is_a_sealed_value() -> None:
    assert sealed_text({SEALED: TEXT}) == TEXT
    for other in (TEXT, [TEXT], {SEALED: TEXT, "more": 1}, {SEALED: "v1"}, {SEALED: None}, {}):
        assert sealed_text(other) is None
    assert parts_of(TEXT) == (SUBJECT, "A" * 24)
    assert is_pseudonym(f"subject:{SUBJECT}")
    assert not is_pseudonym(SUBJECT)
    assert not is_pseudonym(f"subject:{SUBJECT}\n")


@given(trees)
def test_every_sealed_value_is_found_and_can_be_replaced(tree: Any) -> None:
    found = list(sealed_in(tree))
    after = replaced(tree, dict.fromkeys(found, "ann"))
    assert list(sealed_in(after)) == []
    assert str(after).count("$personal") == str(tree).count("$personal") - len(found)
    if not found:
        assert after is tree


@given(trees)
def test_what_stands_for_a_value_of_another_kind_stands_for_itself(tree: Any) -> None:
    once = without_text(tree)
    assert without_text(once) == once
    assert not isinstance(once, str)


def test_what_has_no_value_becomes_the_other_one() -> None:
    tree = {"a": {SEALED: TEXT}, "b": [{SEALED: OTHER}], "c": "kept"}
    values = {TEXT: "ann"}
    assert replaced(tree, values, {ERASED: SUBJECT}) == {
        "a": "ann",
        "b": [{ERASED: SUBJECT}],
        "c": "kept",
    }
    assert masked(tree) == {"a": MASK, "b": [MASK], "c": "kept"}


@given(trees, st.text(min_size=3).filter(lambda value: value not in MASK))
def test_a_hidden_value_is_nowhere_left(tree: Any, value: str) -> None:
    around = {"tree": tree, "as it is": value, "inside": f"<{value}>", value: 1}
    after = hidden(around, {value: TEXT})
    assert after["as it is"] == {SEALED: TEXT}
    assert not _contains(after, value)


def _contains(tree: Any, value: str) -> bool:
    if isinstance(tree, str):
        # The mask itself may form the value together with the text around it.
        return value in tree.replace(MASK, "") and value in tree
    if isinstance(tree, dict):
        if sealed_text(tree) is not None:
            return False
        return any(_contains(name, value) or _contains(one, value) for name, one in tree.items())
    return isinstance(tree, list) and any(_contains(one, value) for one in tree)
