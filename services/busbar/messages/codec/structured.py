"""Structured content mode: the whole event as one JSON object.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

import base64
import binascii
from typing import Any

from busbar.messages.codec import media_type
from busbar.messages.codec.attributes import (
    CORE,
    DATA_TYPE,
    attributes_of,
    check_data_type,
    check_integer,
    check_media_type,
    check_name,
    check_text,
    envelope_of,
)
from busbar.messages.codec.json import MAX_LEVELS, dump_json, load_json, shown
from busbar.messages.envelope import Envelope, Unreadable

CONTENT_TYPE = "application/cloudevents+json; charset=UTF-8"
MAX_BYTES = 1_000_000
"""The maximum size of a value or body in either mode, in bytes: a broker's default, rounded."""

_LEVELS = MAX_LEVELS + 1  # the event is one level around its data
_PREFIX = "application/cloudevents"
_JSON_EVENT = "application/cloudevents+json"


def is_structured(content_type: str | None) -> bool:
    """Return whether ``content_type`` declares an event in the JSON format.

    Raises:
        Unreadable: it declares a batch, or an event in a format other than JSON.
    """
    if content_type is None or content_type == DATA_TYPE:
        return False
    lower = content_type.lower()
    if not lower.startswith(_PREFIX):
        return False
    if lower.startswith(_PREFIX + "-batch"):
        raise Unreadable(
            "batch_not_supported", "The content-type declares a batch; send one event a record."
        )
    found = media_type.parse(content_type)
    if found is None or found.name != _JSON_EVENT or not found.is_utf_8:
        raise Unreadable(
            "bad_content_type",
            "The content-type must be application/cloudevents+json for a structured event, with"
            " charset=utf-8 if it has a charset.",
        )
    return True


def read(body: bytes | None, *, key: str | None = None) -> Envelope:
    """Return the event in ``body``.

    Raises:
        Unreadable: it is not a valid CloudEvent.
    """
    if not body:
        raise Unreadable("no_data", "A structured event needs a body; send the event as JSON.")
    members = load_json(body, what="event", levels=_LEVELS)
    if not isinstance(members, dict):
        raise Unreadable("bad_json", "A structured event must be one JSON object.")
    encoded = members.pop("data_base64", None)
    has_data = "data" in members
    data = members.pop("data", None)
    attributes = {n: _text(n, value) for n, value in members.items() if value is not None}
    content_type = attributes.pop("datacontenttype", None)
    if encoded is not None:
        data = _decoded(encoded, content_type, has_data=has_data)
    elif has_data:
        check_data_type(content_type, is_encoded=False)
    else:
        check_media_type(content_type)
    return envelope_of(attributes, data=data, body=body, key=key)


def _decoded(encoded: object, content_type: str | None, *, has_data: bool) -> Any:
    """Return the JSON in the member ``data_base64`` (section 3.1.2)."""
    if has_data:
        raise Unreadable(
            "duplicate_attribute", 'The event has "data" and "data_base64"; send one of them.'
        )
    check_data_type(content_type)
    try:
        return load_json(base64.b64decode(_text_of(encoded), validate=True))
    except binascii.Error as error:
        raise _not_base64() from error


def _text_of(encoded: object) -> str:
    if not isinstance(encoded, str) or not encoded.isascii():
        raise _not_base64()
    return encoded


def _not_base64() -> Unreadable:
    return Unreadable(
        "bad_json",
        'The member "data_base64" is not Base64 (RFC 4648); send the data as JSON in "data".',
    )


def write(envelope: Envelope) -> bytes:
    """Return ``envelope`` in the JSON format.

    Raises:
        ValueError: it is not a valid CloudEvent, or too large.
    """
    event: dict[str, Any] = dict(attributes_of(envelope))
    if envelope.data is not None:
        event |= {"datacontenttype": DATA_TYPE, "data": envelope.data}
    return within_limit(dump_json(event, levels=_LEVELS))


def within_limit(body: bytes) -> bytes:
    """Return ``body`` if it is short enough to send.

    Raises:
        ValueError: it is longer than :data:`MAX_BYTES`.
    """
    if len(body) > MAX_BYTES:
        raise ValueError(f"The event takes {len(body)} bytes; at most {MAX_BYTES} can be sent.")
    return body


def _text(name: str, value: object) -> str:
    check_name(name)
    if name in CORE or isinstance(value, str):
        return check_text(name, value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return check_integer(name, value)
    raise Unreadable(
        "bad_attribute",
        f"The extension {shown(name)} must be a string, a boolean or an integer.",
    )
