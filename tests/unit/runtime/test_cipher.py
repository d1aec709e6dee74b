"""The cipher and its key file."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.cipher import Cipher, load_cipher
from support.runtime import KEY


@given(plain=st.binary(), context=st.text())
def test_what_was_sealed_opens_again(plain: bytes, context: str) -> None:
    assert (
        Cipher(KEY).decrypt(Cipher(KEY).encrypt(plain, context=context), context=context) == plain
    )


@given(plain=st.binary(min_size=4))
def test_the_same_bytes_are_never_sealed_alike(plain: bytes) -> None:
    first, second = (Cipher(KEY).encrypt(plain, context="c") for _ in range(2))
    assert first != second
    assert plain not in first


@given(plain=st.binary(), place=st.integers(0), bit=st.integers(0, 7))
def test_a_single_changed_bit_is_found(plain: bytes, place: int, bit: int) -> None:
    sealed = bytearray(Cipher(KEY).encrypt(plain, context="c"))
    sealed[place % len(sealed)] ^= 1 << bit
    with pytest.raises(ConfigurationError, match="cannot be decrypted with this data key"):
        Cipher(KEY).decrypt(bytes(sealed), context="c")


@pytest.mark.parametrize("length", [0, 5, 12, 20])
def test_a_truncated_seal_does_not_open(length: int) -> None:
    sealed = Cipher(KEY).encrypt(b"plain", context="c")
    with pytest.raises(ConfigurationError):
        Cipher(KEY).decrypt(sealed[:length], context="c")


def test_another_key_or_another_context_does_not_open_it() -> None:
    sealed = Cipher(KEY).encrypt(b"plain", context="here")
    for cipher, context in ((Cipher(b"x" * 32), "here"), (Cipher(KEY), "there")):
        with pytest.raises(ConfigurationError, match="BUSBAR_DATA_KEY"):
            cipher.decrypt(sealed, context=context)


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    sealed = load_cipher(home, None).encrypt(b"plain", context="c")
    assert load_cipher(home, None).decrypt(sealed, context="c") == b"plain"
    assert oct((home / "data.key").stat().st_mode & 0o777) == "0o600"
    assert oct(home.stat().st_mode & 0o777) == "0o700"
    assert [path.name for path in home.iterdir()] == ["data.key"]


def test_a_key_from_the_settings_wins_and_no_file_is_made(tmp_path: Path) -> None:
    key = SecretStr(base64.b64encode(KEY).decode() + "\n")
    sealed = Cipher(KEY).encrypt(b"plain", context="c")
    assert load_cipher(tmp_path, key).decrypt(sealed, context="c") == b"plain"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "short", "!" * 44, base64.b64encode(b"x" * 31).decode()])
def test_an_invalid_key_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match="not 32 bytes of base64") as caught:
        load_cipher(tmp_path, SecretStr(text))
    assert not text or text not in str(caught.value)
