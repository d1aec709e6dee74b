"""Conversion between the envelopes of busbar and the events of the official CloudEvents SDK.

The official SDK repairs some events: it gives an event without an id or a time new ones when it is
made. Nothing is repaired here: what an event lacks is an error that names it.
"""

from datetime import datetime
from typing import Any, Final

from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.v1.event import CloudEvent

from busbar.messages.codec.attributes import (
    DATA_TYPE,
    attributes_of,
    check_data_type,
    check_integer,
    check_media_type,
    check_name,
    check_text,
    envelope_of,
    read_time,
    write_time,
)
from busbar.messages.codec.json import dump_json, load_json, shown
from busbar.messages.envelope import Envelope, Unreadable
from busbar.messages.http import FactItem
from busbar.sdk.errors import InvalidIntent

CURSOR: Final = "cursor"
"""The extension attribute that holds a fact's position; ``Client.facts`` continues after it."""


def from_cloudevent(event: BaseCloudEvent) -> Envelope:
    """Return the envelope of ``event``.

    Data is JSON: an object as it is, or text or bytes that hold a JSON document.

    Raises:
        InvalidIntent: the event breaks a rule of CloudEvents 1.0, or its data is not JSON.
    """
    if not all(callable(getattr(event, name, None)) for name in ("get_attributes", "get_data")):
        raise InvalidIntent(f"This is not an event: {type(event).__name__}.")
    present = {name: value for name, value in event.get_attributes().items() if value is not None}
    try:
        attributes = {name: _text(name, value) for name, value in present.items()}
        content_type = attributes.pop("datacontenttype", None)
        data = event.get_data()
        if data is None:
            check_media_type(content_type)
        else:
            check_data_type(content_type, is_encoded=isinstance(data, bytes))
        return envelope_of(attributes, data=_parsed(data))
    except Unreadable as error:
        raise InvalidIntent(error.detail) from error
    except ValueError as error:
        raise InvalidIntent(str(error)) from error


def to_cloudevent(event: Envelope | FactItem) -> CloudEvent:
    """Return ``event`` as an event of the official SDK.

    Data that is not an object becomes the bytes of its JSON document. A fact has its resource as
    subject, and its position in the extension attribute ``cursor``.

    Raises:
        ValueError: the envelope breaks a rule of CloudEvents 1.0.
    """
    envelope = envelope_of_fact(event) if isinstance(event, FactItem) else event
    attributes: dict[str, Any] = dict(attributes_of(envelope))
    if envelope.time is not None:
        attributes["time"] = envelope.time
    data = envelope.data
    if data is not None:
        attributes["datacontenttype"] = DATA_TYPE
    converted = CloudEvent(attributes, data if _is_plain(data) else dump_json(data))
    if envelope.time is None:
        # The constructor stamps events that have no time with the current one.
        del converted.get_attributes()["time"]
    return converted


def _is_plain(data: Any) -> bool:
    return data is None or isinstance(data, dict)


def envelope_of_fact(fact: FactItem) -> Envelope:
    """Return the envelope of ``fact``, with its position in the extension attribute ``cursor``."""
    return Envelope(
        id=fact.id,
        source=fact.source,
        type=fact.type,
        subject=fact.resource,
        time=read_time(fact.time) if fact.time else None,
        extensions={CURSOR: fact.cursor},
        data=fact.data,
    )


def _text(name: str, value: object) -> str:
    """Return the canonical text of ``value`` (CloudEvents 1.0, section "Type System")."""
    check_name(name)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return write_time(value)
    if isinstance(value, int):
        return check_integer(name, value)
    if not isinstance(value, str):
        raise Unreadable(
            "bad_attribute",
            f"The attribute {shown(name)} must be text, a boolean, an integer or a time.",
        )
    return check_text(name, value)


def _parsed(data: dict[str, Any] | str | bytes | None) -> Any:
    if isinstance(data, str):
        data = data.encode(errors="surrogatepass")  # surrogates are refused as bad UTF-8
    return load_json(data) if isinstance(data, bytes) else data
