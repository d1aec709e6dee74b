"""`make interop` sees every difference; the programs themselves run in CI."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from busbar.messages.signing import SigningKey, sign
from interop.signing.__main__ import (
    VERIFIERS,
    problem_with_signature,
    problems_with,
    record_to_sign,
    without_outcomes,
)
from support.signing_vectors import ACCEPTED, INVALID_KEY, document, vectors

SEED = bytes(range(32))


def right() -> dict[str, Any]:
    """The answer of a program that agrees with everything."""
    keys = document()["keys"]
    return {
        "keys": {
            **{one["name"]: one["id"] for one in keys["accepted"]},
            **{one["name"]: INVALID_KEY for one in keys["refused"]},
        },
        "records": {one.name: one.wanted for one in vectors()},
        "signed_bytes": {
            one.name: one.signed_bytes.hex() for one in vectors() if one.signed_bytes is not None
        },
    }


def test_a_program_that_agrees_has_no_problems() -> None:
    assert list(problems_with(right())) == []


@pytest.mark.parametrize("part", ["keys", "records", "signed_bytes"])
def test_every_difference_is_named(part: str) -> None:
    for name in right()[part]:
        wrong, fewer = right(), right()
        wrong[part][name] = "something else"
        del fewer[part][name]
        for answer in (wrong, fewer):
            (problem,) = problems_with(answer)
            assert repr(name) in problem


def test_an_outcome_for_an_unknown_record_is_named() -> None:
    answer = right()
    answer["records"]["unknown"] = ACCEPTED
    assert list(problems_with(answer)) == ["record 'unknown': None is wanted, not accepted"]


def test_a_signature_that_does_not_fit_is_named() -> None:
    key = SigningKey(Ed25519PrivateKey.from_private_bytes(SEED))
    record, other = record_to_sign(), record_to_sign()
    _, text = sign(
        key,
        topic=record["topic"],
        record_key=bytes.fromhex(record["key"]),
        headers=[(name, bytes.fromhex(value)) for name, value in record["headers"]],
        value=bytes.fromhex(record["value"]),
    )
    assert problem_with_signature(SEED, record, text.decode()) is None
    for given, wrong in ((other, text.decode()), (record, "v1")):
        assert "the signature that it made" in str(problem_with_signature(SEED, given, wrong))


def test_the_programs_do_not_see_what_is_wanted() -> None:
    given = without_outcomes(document())
    shown = {name for part in given["records"].values() for one in part for name in one}
    assert shown == {"name", "public_key", "topic", "key", "headers", "value"}
    assert {name for part in given["keys"].values() for one in part for name in one} == {
        "name", "public_key"
    }  # fmt: skip


def test_the_programs_are_in_two_languages() -> None:
    assert {program.name for program in VERIFIERS} == {"signing/go", "signing/typescript"}
