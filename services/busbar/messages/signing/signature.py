"""The signature of a Kafka record that carries an event in binary mode.

The exact bytes are in docs/signing.md, with vectors. A signature covers topic, key, attributes and
value: the same event under another topic or key is not signed. Values are signed as the bytes that
are sent; nothing is parsed or put in a canonical form. Headers that could be read in two ways are
refused, so that a reader cannot see another event than the one that was signed.
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from busbar.messages.signing.keys import PublicKey, SigningKey

ATTRIBUTE: Final = "busbarsig"
"""The extension attribute that holds the signature."""

UNSIGNED: Final = frozenset({ATTRIBUTE, "sequence", "traceparent", "tracestate"})
"""Attributes that a signature does not cover: a relay and tracing set them afterwards."""

_DOMAIN: Final = b"busbar-sig/1\n"
_VERSION: Final = "v1"
_PREFIX: Final = "ce_"
_CONTENT_TYPE: Final = "content-type"
_DATA_TYPE: Final = "datacontenttype"
_NOT_BINARY: Final = b"application/cloudevents"
"""Where ``content-type`` begins like this, the event is in the value (Kafka binding, section 3)."""

_FORM: Final = re.compile(rb"v1\.([0-9a-f]{32})\.([A-Za-z0-9_-]{85}[AQgw])")
"""Only four digits can end the base64url of 64 bytes, since their last four bits are not used."""

_NAME: Final = re.compile(r"[a-z0-9]+")
_USUAL: Final = MappingProxyType(
    {
        _CONTENT_TYPE: _DATA_TYPE,
        **{
            f"{_PREFIX}{name}": name
            for name in (
                *("specversion", "id", "source", "type", "subject", "time", "dataschema"),
                *("correlationid", "causationid", "partitionkey", "expirytime", "authtype"),
                *("authid", "onbehalfof", *UNSIGNED),
            )
        },
    }
)
"""The attributes of headers that nearly all events have: they need no further checks."""

Headers = Sequence[tuple[str, bytes | None]]
Code = Literal["unsigned", "malformed", "forged"]


class BadSignature(ValueError):
    """A record is not signed as it has to be.

    ``code`` is ``unsigned``, ``malformed`` or ``forged``; ``detail`` is a sentence that says what
    to do.
    """

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code: Code = code
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
        match = _FORM.fullmatch(text)
        if match is None:
            raise _malformed(
                f"The attribute {ATTRIBUTE} is not v1.<key id>.<signature in base64url>; sign the "
                "event as docs/signing.md says."
            )
        return cls(match[1].decode(), base64.urlsafe_b64decode(match[2] + b"=="))


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
        BadSignature: ``malformed``; the record cannot be signed, or it is signed already.
    """
    if any(name == _PREFIX + ATTRIBUTE for name, _ in headers):
        raise _malformed(f"The record has the attribute {ATTRIBUTE} already; sign it without.")
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
        name = _USUAL.get(header) or _name(header)
        if name is None:
            continue
        if value is None:
            raise _malformed(f"The header {_shown(header)} is null; leave it out.")
        if name in attributes:
            raise _malformed(f"The header {_shown(header)} came twice; send it once.")
        attributes[name] = value
    content_type = attributes.get(_DATA_TYPE, b"").strip(b" \t").lower()
    if "specversion" not in attributes or content_type.startswith(_NOT_BINARY):
        raise _malformed(
            "Only events in binary mode are signed on Kafka; send ce_ headers instead of a "
            "structured event."
        )
    for name in UNSIGNED:
        attributes.pop(name, None)
    return attributes


def _name(header: str) -> str | None:
    """Return the attribute that ``header`` encodes; None if CloudEvents does not define it."""
    start = header[: len(_PREFIX)]
    if start.lower() != _PREFIX and header[: len(_CONTENT_TYPE) + 1].lower() != _CONTENT_TYPE:
        return None
    name = header[len(_PREFIX) :]
    if start != _PREFIX or not _NAME.fullmatch(name):
        raise _malformed(
            f"The header {_shown(header)} is refused in a signed event: write content-type, or "
            "ce_ and a name of a to z and 0 to 9, in lower case."
        )
    if name == _DATA_TYPE:
        raise _malformed("The header ce_datacontenttype is not signed; send content-type.")
    return name


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
