"""Property-based tests of the names, teams and encrypted values of secrets."""

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import SecretStr, TypeAdapter, ValidationError

from busbar.kernel.errors import ConfigurationError
from busbar.messages.notification import SecretRef
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.secrets.names import bytes_of, check_team, name_in, reference_to
from busbar.runtime.secrets.store import context_of
from support.runtime import (
    KEY,
)

NAMES = st.from_regex(re.compile(r"[a-z0-9][a-z0-9-]{0,62}"), fullmatch=True)
TEAMS = st.none() | st.from_regex(re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"), fullmatch=True)

PRINTABLE = st.characters(exclude_categories=("C", "Z"), include_characters=" ")
"""The characters for which :meth:`str.isprintable` holds."""


@given(NAMES)
def test_a_name_is_read_back_from_its_reference(name: str) -> None:
    assert name_in(f"secret:{name}") == name
    assert reference_to(name) == reference_to(f"secret:{name}") == f"secret:{name}"


@given(st.text() | st.text(alphabet="abz09-_/.:A\n\x00 ", max_size=70).map("secret:".__add__))
@example("secret:")
@example("secret:a\n")
@example("secret:-a")
@example("secret:../a")
@example("secret:" + "a" * 64)
@example("secret:secret:a")
@example("secret:ª")  # alphabetic to Python, but not to the pattern
def test_what_intents_may_name_is_what_can_be_stored(text: str) -> None:
    """The pattern of the published schema and the check of the table agree on every text."""
    try:
        TypeAdapter(SecretRef).validate_python(text)
    except ValidationError:
        with pytest.raises(ConfigurationError, match="not a reference"):
            name_in(text)
    else:
        assert name_in(text) == text.removeprefix("secret:")


@given(TEAMS)
def test_a_part_of_a_resource_is_a_team(team: str | None) -> None:
    check_team(team)


@given(value=st.text(PRINTABLE, min_size=1, max_size=300), name=NAMES, team=TEAMS)
def test_a_value_is_decrypted_for_its_name_and_team(
    value: str, name: str, team: str | None
) -> None:
    context = context_of(name, team)
    sealed = Cipher(KEY).encrypt(bytes_of(SecretStr(value)), context=context)
    assert Cipher(KEY).decrypt(sealed, context=context).decode() == value


@given(one=st.tuples(NAMES, TEAMS), other=st.tuples(NAMES, TEAMS))
@example(one=("a-b", "c"), other=("b", "c-a"))
@example(one=("a", None), other=("a", "a"))
def test_a_value_is_not_decrypted_for_another_name_or_team(
    one: tuple[str, str | None], other: tuple[str, str | None]
) -> None:
    assume(one != other)
    sealed = Cipher(KEY).encrypt(b"plain", context=context_of(*one))
    with pytest.raises(ConfigurationError, match="cannot be decrypted"):
        Cipher(KEY).decrypt(sealed, context=context_of(*other))


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_the_id_of_a_key_names_it_and_discloses_nothing_of_it(key: bytes, other: bytes) -> None:
    assert re.fullmatch(r"[0-9a-f]{12}", Cipher(key).key_id)
    assert Cipher(key).key_id == Cipher(key).key_id
    assert (Cipher(key).key_id == Cipher(other).key_id) == (key == other)
