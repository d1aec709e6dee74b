"""Structured content mode: the whole event as one JSON object.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

import re
from typing import Any

from busbar.messages.codec.attributes import (
    CORE,
    DATA_TYPE,
    attributes_of,
    check_data_type,
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
_JSON_EVENT = re.compile(
    r'application/cloudevents\+json[ \t]*(?:;[ \t]*charset=(?:utf-8|"utf-8"))?',
    re.ASCII | re.IGNORECASE,
)


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
    if not _JSON_EVENT.fullmatch(content_type):
        raise Unreadable(
            "bad_content_type",
            "The content-type must be application/cloudevents+json for a structured event,"
            " with no parameter but charset=utf-8.",
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
    if "data_base64" in members:
        raise Unreadable(
            "bad_content_type", 'The member "data_base64" is refused; send JSON in "data".'
        )
    has_data = "data" in members
    data = members.pop("data", None)
    attributes = {n: _text(n, value) for n, value in members.items() if value is not None}
    content_type = attributes.pop("datacontenttype", None)
    if has_data:
        check_data_type(content_type)
    return envelope_of(attributes, data=data, body=body, key=key)


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
        return str(value)
    raise Unreadable(
        "bad_attribute",
        f"The extension {shown(name)} must be a string, a boolean or an integer.",
    )
