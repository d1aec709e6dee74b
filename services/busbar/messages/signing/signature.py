"""The signature of a Kafka record that carries an event in binary mode.

The exact bytes are in docs/signing.md, with vectors. A signature covers topic, key, attributes and
value: the same event under another topic or key is not signed. Values are signed as the bytes that
are sent; nothing is parsed or put in a canonical form.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from busbar.messages.signing.keys import PublicKey, SigningKey, decode

ATTRIBUTE: Final = "busbarsig"
"""The extension attribute that holds the signature."""

UNSIGNED: Final = frozenset({ATTRIBUTE, "sequence", "traceparent", "tracestate"})
"""Attributes that a signature does not cover: a relay and tracing set them afterwards."""

_DOMAIN: Final = b"busbar-sig/1\n"
_VERSION: Final = "v1"
_PREFIX: Final = "ce_"
_CONTENT_TYPE: Final = "content-type"
_DATA_TYPE: Final = "datacontenttype"
_ID_CHARS: Final = 32
_SIGNATURE_BYTES: Final = 64
_HEX: Final = frozenset("0123456789abcdef")

Headers = Sequence[tuple[str, bytes | None]]


class BadSignature(ValueError):
    """A record is not signed as it has to be.

    ``code`` is ``unsigned``, ``malformed`` or ``forged``; ``detail`` is a sentence that says what
    to do.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Signature(NamedTuple):
    """A signature, and the id of the key that it is by."""

    key_id: str
    value: bytes

    @property
    def text(self) -> str:
        """The value of the attribute: ``v1.<key id>.<base64url without padding>``."""
        return f"{_VERSION}.{self.key_id}.{_base64url(self.value)}"

    @classmethod
    def parse(cls, text: bytes) -> "Signature":
        """Return the signature that the header holds.

        Raises:
            BadSignature: ``malformed``.
        """
        parts = text.decode("ascii", errors="replace").split(".")
        if len(parts) == len((_VERSION, *cls._fields)) and parts[0] == _VERSION:
            _, key_id, encoded = parts
            value = decode(encoded, _SIGNATURE_BYTES)
            if len(key_id) == _ID_CHARS and value is not None and _HEX.issuperset(key_id):
                return cls(key_id, value)
        raise _malformed(
            f"The attribute {ATTRIBUTE} is not v1.<key id>.<signature in base64url>; sign the "
            "event as docs/signing.md says."
        )


def signature_of(headers: Headers) -> Signature:
    """Return the signature that a record carries.

    Raises:
        BadSignature: ``unsigned`` or ``malformed``.
    """
    found = [value for name, value in headers if name == _PREFIX + ATTRIBUTE]
    if not found:
        raise BadSignature(
            "unsigned",
            f"The event has no signature (attribute {ATTRIBUTE}); send it with the SDK or over "
            "HTTP, or sign it as docs/signing.md says.",
        )
    if len(found) > 1 or found[0] is None:
        raise _malformed(f"The attribute {ATTRIBUTE} came twice or without a value; send it once.")
    return Signature.parse(found[0])


def signed_bytes(
    *, topic: str, key: bytes | None, headers: Headers, value: bytes | None, key_id: str
) -> bytes:
    """Return the bytes that the key ``key_id`` signs for a record.

    Raises:
        BadSignature: ``malformed``; the headers do not say in one way what the attributes are.
    """
    attributes = _attributes_of(headers)
    parts = [_DOMAIN, *_field(key_id.encode()), *_field(topic.encode()), *_field(key)]
    parts.append(len(attributes).to_bytes(4, "big"))
    for name in sorted(attributes):
        parts += (*_field(name.encode()), *_field(attributes[name]))
    parts += _field(None if value is None else hashlib.sha256(value).digest())
    return b"".join(parts)


def sign(
    key: SigningKey, *, topic: str, record_key: bytes | None, headers: Headers, value: bytes | None
) -> tuple[str, bytes]:
    """Return the header that signs a record; it is one more header of the record.

    Raises:
        BadSignature: ``malformed``; the record cannot be signed.
    """
    message = signed_bytes(
        topic=topic, key=record_key, headers=headers, value=value, key_id=key.public.id
    )
    signature = Signature(key.public.id, key.sign(message))
    return _PREFIX + ATTRIBUTE, signature.text.encode()


def verify(
    key: PublicKey,
    signature: Signature,
    *,
    topic: str,
    record_key: bytes | None,
    headers: Headers,
    value: bytes | None,
) -> None:
    """Return if ``signature`` is by ``key`` and covers the record.

    Raises:
        BadSignature: ``forged`` or ``malformed``.
    """
    message = signed_bytes(
        topic=topic, key=record_key, headers=headers, value=value, key_id=signature.key_id
    )
    if signature.key_id != key.id or not key.has_signed(message, signature.value):
        raise BadSignature(
            "forged",
            "The signature does not fit: topic, key, attributes or data were changed after "
            "signing, or another key has signed; send the event again as it was signed.",
        )


def _attributes_of(headers: Headers) -> Mapping[str, bytes]:
    """Return the signed attributes, as the bytes of their headers."""
    attributes: dict[str, bytes] = {}
    for header, value in headers:
        if header == _CONTENT_TYPE:
            name = _DATA_TYPE
        elif header.startswith(_PREFIX):
            name = header[len(_PREFIX) :]
            if name in UNSIGNED:
                continue
            if name == _DATA_TYPE:
                raise _malformed("The header ce_datacontenttype is not signed; send content-type.")
        elif header.lower().startswith(_PREFIX) or header.lower() == _CONTENT_TYPE:
            raise _malformed(
                f"The header {_shown(header)} must be in lower case in a signed event."
            )
        else:
            continue
        if value is None:
            raise _malformed(f"The header {_shown(header)} is null; leave it out.")
        if name in attributes:
            raise _malformed(f"The header {_shown(header)} came twice; send it once.")
        attributes[name] = value
    if "specversion" not in attributes:
        raise _malformed(
            "Only events in binary mode are signed on Kafka; send ce_ headers instead of a "
            "structured event."
        )
    return attributes


def _field(value: bytes | None) -> tuple[bytes, ...]:
    """Return ``value`` with its length; what is absent differs from what is empty."""
    if value is None:
        return (b"\x00",)
    return (b"\x01", len(value).to_bytes(4, "big"), value)


def _malformed(detail: str) -> BadSignature:
    return BadSignature("malformed", detail)


def _shown(header: str) -> str:
    return ascii(header[:100])


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
