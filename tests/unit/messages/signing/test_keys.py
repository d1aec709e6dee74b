"""Keys are read in one form only, and show the public half only."""

import copy
import json
import pickle
import re
import traceback
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from hypothesis import assume, given
from hypothesis import strategies as st

from busbar.messages.signing import InvalidKey, PublicKey, SigningKey

SEEDS = st.binary(min_size=32, max_size=32)
KEY = SigningKey.generate()
Private = ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey | rsa.RSAPrivateKey
Form = serialization.PrivateFormat


def of_seed(seed: bytes) -> SigningKey:
    return SigningKey(ed25519.Ed25519PrivateKey.from_private_bytes(seed))


def pem_of(
    key: Private | ec.EllipticCurvePrivateKey, form: Form = Form.PKCS8, password: bytes = b""
) -> str:
    encryption = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, form, encryption).decode()


ED25519 = ed25519.Ed25519PrivateKey.generate()
EC = ec.generate_private_key(ec.SECP256R1())
PUBLIC_PEM = (
    ED25519.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
REFUSED = {
    "encrypted": (pem_of(ED25519, password=b"hunter2"), "is encrypted"),
    "encrypted in the old form": (
        pem_of(EC, Form.TraditionalOpenSSL, password=b"hunter2"),
        "is encrypted",
    ),
    "RSA": (pem_of(rsa.generate_private_key(65537, 2048)), "is not an Ed25519 key"),
    "EC": (pem_of(EC), "is not an Ed25519 key"),
    "Ed448": (pem_of(ed448.Ed448PrivateKey.generate()), "is not an Ed25519 key"),
    "of OpenSSH": (pem_of(ED25519, Form.OpenSSH), "is not a private key in PEM"),
    "public": (PUBLIC_PEM, "is not a private key in PEM"),
    "two keys": (KEY.pem + pem_of(ED25519), "has several parts"),
    "cut off": (KEY.pem[:60], "is not a private key in PEM"),
    "damaged": (KEY.pem.replace("MC4CAQAw", "MC4CAQEw"), "is not a private key in PEM"),
    "garbage": ("c2VjcmV0IGdhcmJhZ2UgaW4gYSBmaWxl", "is not a private key in PEM"),
    "empty": ("", "is not a private key in PEM"),
    "not Unicode": (KEY.pem[:-40] + "\udcff", "is not a private key in PEM"),
}


@given(SEEDS)
def test_a_public_key_is_read_back_from_its_text(seed: bytes) -> None:
    key = of_seed(seed).public
    again = PublicKey.parse(key.text)
    assert (again, hash(again), again.raw, again.id) == (key, hash(key), key.raw, key.id)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", key.text)
    assert re.fullmatch(r"[0-9a-f]{32}", key.id)


@given(SEEDS, SEEDS)
def test_different_keys_have_different_ids_and_texts(one: bytes, other: bytes) -> None:
    assume(one != other)
    first, second = of_seed(one).public, of_seed(other).public
    assert first != second
    assert first.id != second.id
    assert first.text != second.text


TEXTS = st.one_of(
    st.text(max_size=60),
    st.from_regex(r"[A-Za-z0-9_+/-]{43}=?", fullmatch=True),
    st.tuples(st.integers(0, 42), st.characters()).map(
        lambda change: KEY.public.text[: change[0]] + change[1] + KEY.public.text[change[0] + 1 :]
    ),
)


@given(TEXTS)
def test_every_key_has_one_text_only(text: str) -> None:
    try:
        key = PublicKey.parse(text)
    except InvalidKey:
        return
    assert key.text == text


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(InvalidKey, match=f"this one has {length}"):
        PublicKey(bytes(length))


def test_a_public_key_is_equal_to_keys_only() -> None:
    assert KEY.public != KEY.public.raw
    assert {KEY.public: 1}[PublicKey(KEY.public.raw)] == 1


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_a_signature_of_any_length_is_answered(message: bytes, signature: bytes) -> None:
    assert KEY.public.has_signed(message, KEY.sign(message))
    assert not KEY.public.has_signed(message, signature)


def test_a_signing_key_is_read_back_from_its_file() -> None:
    again = SigningKey.from_pem(KEY.pem)
    assert again.public == KEY.public
    assert again.sign(b"x") == KEY.sign(b"x")
    assert SigningKey.from_pem(KEY.pem.replace("\n", "\r\n")).public == KEY.public


@pytest.mark.parametrize(("pem", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_a_file_that_holds_no_usable_key_is_refused_and_not_quoted(pem: str, says: str) -> None:
    with pytest.raises(InvalidKey) as refused:
        SigningKey.from_pem(pem)
    error = refused.value
    assert says in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None
    shown = "".join(traceback.format_exception(error)) + repr(error.args)
    assert [part for part in re.findall(r"[A-Za-z0-9+/=]{12,}", pem) if part in shown] == []


def secrets_of(key: SigningKey) -> list[str]:
    seed = key._key.private_bytes_raw()
    body = "".join(key.pem.splitlines()[1:-1])
    return [seed.hex(), repr(seed)[2:-1], body, body[-40:], str(list(seed))[1:-1]]


@pytest.mark.parametrize(
    "show",
    [repr, str, format, lambda key: f"{key!r:>80}", lambda key: repr(vars(key))],
    ids=["repr", "str", "format", "in an f-string", "its fields"],
)
def test_a_signing_key_shows_the_public_half_only(show: Callable[[SigningKey], str]) -> None:
    shown = show(KEY)
    assert KEY.public.id in shown
    assert [secret for secret in secrets_of(KEY) if secret in shown] == []


@pytest.mark.parametrize("dump", [pickle.dumps, json.dumps], ids=["pickle", "json"])
def test_a_signing_key_cannot_be_written_by_accident(dump: Callable[[SigningKey], object]) -> None:
    with pytest.raises(TypeError) as refused:
        dump(KEY)
    assert [secret for secret in secrets_of(KEY) if secret in str(refused.value)] == []


def test_a_public_key_can_be_copied_and_pickled_after_it_has_verified() -> None:
    assert not KEY.public.has_signed(b"", b"")
    assert copy.deepcopy(KEY.public) == KEY.public
    assert pickle.loads(pickle.dumps(KEY.public)) == KEY.public  # noqa: S301 - our own bytes
