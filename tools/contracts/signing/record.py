"""Records of the vectors: built, changed and signed without the code that they are to test."""

import base64
import hashlib
from dataclasses import dataclass, replace
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNATURE: Final = "ce_busbarsig"
UNSIGNED: Final = (SIGNATURE, "ce_sequence", "ce_traceparent", "ce_tracestate")

Header = tuple[str, bytes | None]


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key pair whose private half is published: its seed is the SHA-256 of a sentence."""

    sentence: str

    @property
    def seed(self) -> bytes:
        """The private key, as RFC 8032 calls it: 32 bytes."""
        return hashlib.sha256(self.sentence.encode()).digest()

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the signature of ``message``."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)


FIRST: Final = KnownKey("busbar test key 1: published, so it proves nothing")
SECOND: Final = KnownKey("busbar test key 2: published, so it proves nothing")


@dataclass(frozen=True, slots=True)
class Record:
    """A record, as it is in Kafka."""

    topic: str
    key: bytes | None
    headers: tuple[Header, ...]
    value: bytes | None

    def having(self, name: str, value: bytes | None) -> "Record":
        """Return the record with this value of a header, which stays where it is if it is there."""
        if name not in dict(self.headers):
            return self.adding((name, value))
        headers = [(one, value if one == name else old) for one, old in self.headers]
        return replace(self, headers=tuple(headers))

    def lacking(self, *names: str) -> "Record":
        """Return the record without the headers of these names."""
        kept = [header for header in self.headers if header[0] not in names]
        return replace(self, headers=tuple(kept))

    def adding(self, *headers: Header) -> "Record":
        """Return the record with more headers, at the end."""
        return replace(self, headers=(*self.headers, *headers))

    def renaming(self, name: str, other: str) -> "Record":
        """Return the record with another name of a header."""
        headers = [(other if one == name else one, value) for one, value in self.headers]
        return replace(self, headers=tuple(headers))

    @property
    def signature(self) -> bytes:
        """The value of the attribute ``busbarsig``."""
        return dict(self.headers)[SIGNATURE] or b""

    def as_json(self) -> dict[str, Any]:
        """Return the record as the vectors have it: bytes in hexadecimal, null for what is not."""
        return {
            "topic": self.topic,
            "key": _hex(self.key),
            "headers": [[name, _hex(value)] for name, value in self.headers],
            "value": _hex(self.value),
        }


def signed_bytes(record: Record, key_id: str) -> bytes:
    """Return the bytes to sign. Headers are not checked: of several, the last one counts."""
    attributes = {
        "datacontenttype" if name == "content-type" else name.removeprefix("ce_"): value
        for name, value in record.headers
        if (name == "content-type" or name.startswith("ce_")) and name not in UNSIGNED
    }
    found = b"busbar-sig/1\n"
    found += _field(key_id.encode()) + _field(record.topic.encode()) + _field(record.key)
    found += len(attributes).to_bytes(4, "big")
    for name, value in sorted(attributes.items()):
        found += _field(name.encode()) + _field(value)
    return found + _field(None if record.value is None else hashlib.sha256(record.value).digest())


def signed(record: Record, key: KnownKey = FIRST, *, key_id: str | None = None) -> Record:
    """Return ``record`` with its signature, in the name of another key if ``key_id`` says so."""
    named = key_id or id_of(key.public)
    return record.adding(header(named, key.sign(signed_bytes(record, named))))


def header(key_id: str, signature: bytes) -> Header:
    """Return the header with ``signature``."""
    return SIGNATURE, f"v1.{key_id}.{text_of(signature)}".encode()


def id_of(public: bytes) -> str:
    """Return the id of a public key."""
    return hashlib.sha256(public).hexdigest()[:32]


def text_of(raw: bytes) -> str:
    """Return ``raw`` in base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _field(value: bytes | None) -> bytes:
    return b"\0" if value is None else b"\1" + len(value).to_bytes(4, "big") + value


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()
