"""The Kafka protocol binding.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
The record's key is kept beside the event and never becomes an attribute, nor an attribute the key.
Keys may be any bytes (section 3.1); those that are not UTF-8 are kept as surrogates (PEP 383).
"""

from collections.abc import Sequence

from busbar.messages.codec import content, structured
from busbar.messages.codec.attributes import (
    DATA_TYPE,
    MAX_ATTRIBUTES,
    MAX_NAME_CHARS,
    MAX_VALUE_BYTES,
    attributes_of,
)
from busbar.messages.codec.json import dump_json, shown
from busbar.messages.codec.structured import MAX_BYTES, within_limit
from busbar.messages.envelope import Envelope, Unreadable

__all__ = ["MAX_BYTES", "Record", "read", "write", "write_structured"]

MAX_RECORD_BYTES = 1024 * 1024
"""The maximum size of a record in bytes, with headers and key: a broker's default."""

MAX_KEY_BYTES = MAX_VALUE_BYTES
"""The maximum size of a key in bytes; it becomes the attribute partitionkey elsewhere."""

_KEPT = "surrogateescape"

_FRAME_BYTES = 12  # maximum overhead of each header and of the record itself

_FITS_BYTES = (
    MAX_RECORD_BYTES
    - (MAX_ATTRIBUTES + 1) * (len("ce_") + MAX_NAME_CHARS + MAX_VALUE_BYTES + _FRAME_BYTES)
    - MAX_KEY_BYTES
    - 10 * _FRAME_BYTES
)
"""A body of this size fits in any record; only longer ones need the exact sum."""

Record = tuple[list[tuple[str, bytes]], bytes | None, bytes | None]
"""Headers, value and key of a record."""


def read(
    headers: Sequence[tuple[str, bytes | None]], value: bytes | None, key: bytes | None
) -> Envelope:
    """Return the event in a record of either mode; a binary one without a value has no data.

    The value may be null, as the binding says, or empty, as some producers write it.

    Raises:
        Unreadable: the record is not a valid CloudEvent; no other error is raised.
    """
    envelope_key = _read_key(key)
    return content.read(headers, value or None, binding=_BINDING, key=envelope_key)


def write(envelope: Envelope, *, body: bytes | None = None) -> Record:
    """Return ``envelope`` in binary mode; the order of headers is always the same.

    ``body`` is its data as JSON, if that was encoded before.

    Raises:
        ValueError: it is not a valid CloudEvent, or too large.
    """
    headers = [(f"ce_{name}", text.encode()) for name, text in attributes_of(envelope).items()]
    if envelope.data is None:
        return headers, None, _write_key(envelope.key)
    headers.append(("content-type", DATA_TYPE.encode()))
    body = dump_json(envelope.data) if body is None else body
    record = headers, within_limit(body), _write_key(envelope.key)
    if len(body) > _FITS_BYTES and (size := _size(record)) > MAX_RECORD_BYTES:
        raise ValueError(
            f"The event takes {size} bytes with its attributes; at most {MAX_RECORD_BYTES} can be"
            " sent."
        )
    return record


def write_structured(envelope: Envelope) -> Record:
    """Return ``envelope`` in structured mode.

    Raises:
        ValueError: it is not a valid CloudEvent, or too large.
    """
    headers = [("content-type", structured.CONTENT_TYPE.encode())]
    return headers, structured.write(envelope), _write_key(envelope.key)


def _size(record: Record) -> int:
    """Return the maximum size of ``record`` in the log."""
    headers, value, key = record
    named = sum(len(name) + len(text) + _FRAME_BYTES for name, text in headers)
    return named + len(value or b"") + len(key or b"") + 10 * _FRAME_BYTES


def _text(header: str, value: bytes | None) -> str:
    if value is None:
        raise Unreadable(
            "bad_attribute", f"The header {shown(header)} is null; give it a value or leave it out."
        )
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise Unreadable(
            "bad_attribute",
            f"The header {shown(header)} is not UTF-8 at byte {error.start}; encode it as UTF-8.",
        ) from error


_BINDING: content.Binding[bytes | None] = content.Binding(
    names=content.Names("ce_"), plain=_text, decode=_text, repeats_content_type=True
)


def _read_key(key: bytes | None) -> str | None:
    if key is None:
        return None
    if len(key) > MAX_KEY_BYTES:
        raise Unreadable(
            "bad_key",
            f"The record's key has {len(key)} bytes; send at most {MAX_KEY_BYTES}, as in"
            " team/environment/promise/name.",
        )
    return key.decode(errors=_KEPT)


def _write_key(key: str | None) -> bytes | None:
    if key is None:
        return None
    try:
        written = key.encode(errors=_KEPT)
    except UnicodeEncodeError as error:
        raise ValueError("The key has a lone surrogate, which UTF-8 cannot hold.") from error
    if len(written) > MAX_KEY_BYTES:
        raise ValueError(
            f"The key takes {len(written)} bytes; at most {MAX_KEY_BYTES} can be sent."
        )
    return written
