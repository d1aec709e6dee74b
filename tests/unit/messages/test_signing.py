"""Signatures of records: what they cover, and what is refused."""

import pytest

from busbar.messages.signing import BadSignature, SigningKey, sign, verify
from busbar.messages.signing.signature import signature_of

KEY = SigningKey.generate()
RECORD = {
    "topic": "busbar.intents.resource",
    "record_key": b"payments/dev/event-stream/orders",
    "headers": [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"1"),
        ("ce_source", b"urn:team:payments"),
        ("ce_type", b"busbar.resource.apply.v1"),
        ("content-type", b"application/json"),
    ],
    "value": b'{"team":"payments"}',
}


def test_a_signed_record_is_verified_with_the_public_key() -> None:
    header = sign(KEY, **RECORD)
    record = {**RECORD, "headers": [*RECORD["headers"], header]}
    verify(KEY.public, signature_of(record["headers"]), **record)


@pytest.mark.parametrize(
    "change",
    [
        {"topic": "busbar.intents.subscription"},
        {"record_key": b"search/dev/event-stream/orders"},
        {"record_key": None},
        {"value": b'{"team":"search"}'},
        {"value": None},
        {"headers": RECORD["headers"][:-1]},
        {"headers": [*RECORD["headers"][:2], ("ce_source", b"urn:team:search")]},
    ],
)
def test_a_record_that_was_changed_after_signing_is_forged(change: dict[str, object]) -> None:
    _, signature = sign(KEY, **RECORD)
    changed = {**RECORD, **change}
    with pytest.raises(BadSignature) as refused:
        verify(KEY.public, signature_of([("ce_busbarsig", signature)]), **changed)
    assert refused.value.code == "forged"
