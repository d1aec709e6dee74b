"""Signatures of events: one detached Ed25519 signature in an attribute (docs/signing.md)."""

from busbar.messages.signing.keys import InvalidKey, PublicKey, SigningKey
from busbar.messages.signing.published import published_in
from busbar.messages.signing.signature import (
    ATTRIBUTE,
    UNSIGNED,
    BadSignature,
    Signature,
    sign,
    signature_of,
    signed_bytes,
    verify,
)

__all__ = [
    "ATTRIBUTE",
    "UNSIGNED",
    "BadSignature",
    "InvalidKey",
    "PublicKey",
    "Signature",
    "SigningKey",
    "published_in",
    "sign",
    "signature_of",
    "signed_bytes",
    "verify",
]
