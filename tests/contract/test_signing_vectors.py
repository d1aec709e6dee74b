"""``contracts/signing-vectors.json`` says what the product does with each record and key."""

from collections import Counter

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from busbar.messages.signing import (
    InvalidKey,
    PublicKey,
    SigningKey,
    sign,
    signature_of,
    signed_bytes,
)
from support.signing_vectors import ACCEPTED, INVALID_KEY, Vector, document, seed, vectors
from tools.contracts.pages import PAGES, VECTORS

ALL = vectors()
GOOD = [one for one in ALL if one.wanted == ACCEPTED]
KEYS = document()["keys"]
TEST_KEYS = {
    key.public.text: key
    for name in ("first", "second")
    for key in [SigningKey(Ed25519PrivateKey.from_private_bytes(seed(name)))]
}


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_a_record_has_the_outcome_that_the_vectors_say(one: Vector) -> None:
    assert one.outcome == one.wanted


@pytest.mark.parametrize("one", GOOD, ids=lambda one: one.name)
def test_the_signed_bytes_and_the_signature_are_those_of_the_vectors(one: Vector) -> None:
    signature = signature_of(one.headers)
    made = signed_bytes(
        topic=one.topic,
        key=one.key,
        headers=one.headers,
        value=one.value,
        key_id=signature.key_id,
    )
    assert made == one.signed_bytes
    bare = [header for header in one.headers if header[0] != "ce_busbarsig"]
    header = sign(
        TEST_KEYS[one.public_key],
        topic=one.topic,
        record_key=one.key,
        headers=bare,
        value=one.value,
    )
    assert header in one.headers


@pytest.mark.parametrize("one", KEYS["accepted"], ids=lambda one: one["name"])
def test_a_key_has_its_id(one: dict[str, str]) -> None:
    assert PublicKey.parse(one["public_key"]).id == one["id"]


@pytest.mark.parametrize("one", KEYS["refused"], ids=lambda one: one["name"])
def test_a_key_that_proves_nothing_is_refused(one: dict[str, str]) -> None:
    with pytest.raises(InvalidKey):
        PublicKey.parse(one["public_key"])


def test_the_refused_keys_are_refused_for_every_reason() -> None:
    found: Counter[str] = Counter()
    for one in KEYS["refused"]:
        with pytest.raises(InvalidKey) as refused:
            PublicKey.parse(one["public_key"])
        found[str(refused.value).partition(";")[0]] += 1
    assert found == {
        "The public key has small order: anyone could sign for it": 8,
        "The public key is not the canonical encoding of a point": 6,
        "The public key is not a point of the curve": 4,
        "A public key is 43 characters of base64url without padding.": 9,
    }


def test_every_vector_has_a_name_of_its_own_and_every_outcome_occurs() -> None:
    names = Counter(one.name for one in ALL)
    assert [name for name, count in names.items() if count > 1] == []
    assert {one.wanted for one in ALL} == {
        ACCEPTED, INVALID_KEY, "unsigned", "malformed", "forged"
    }  # fmt: skip


def test_records_that_differ_are_signed_as_different_bytes() -> None:
    by_bytes: dict[bytes | None, set[str]] = {}
    for one in GOOD:
        by_bytes.setdefault(one.signed_bytes, set()).add(one.name)
    alike = [names for names in by_bytes.values() if len(names) > 1]
    assert alike == [
        {
            "an intent",
            "headers in another order",
            "unsigned attributes added later",
            "unsigned attributes changed later",
            "headers that are no attributes added later",
            "signed with unsigned attributes",
        }
    ]


def test_the_file_is_generated_and_checked() -> None:
    assert VECTORS in PAGES
