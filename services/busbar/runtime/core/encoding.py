"""Conversion between records and CloudEvents.

Dead letters may be larger than the codec allows other events to be.
"""

from dataclasses import replace

from busbar.messages import topics
from busbar.messages.codec import kafka as codec
from busbar.messages.codec.attributes import DATA_TYPE
from busbar.messages.codec.json import load_json
from busbar.messages.envelope import Envelope, Unreadable
from busbar.runtime.core.bus import Outgoing, Record


def read(record: Record) -> Envelope | Unreadable:
    """Return the event in ``record``, or the reason why it is unreadable."""
    try:
        return _read(record)
    except Unreadable as error:
        return error


def _read(record: Record) -> Envelope:
    value = record.value
    if value is None or len(value) <= codec.MAX_BYTES or record.topic not in topics.DEAD_LETTERS:
        return codec.read(record.headers, value, record.key)
    bare = codec.read(record.headers, None, record.key)
    return replace(bare, data=load_json(value), body=value)


def write(topic: str, envelope: Envelope) -> Outgoing:
    """Return the record that carries ``envelope`` on ``topic``, with its body as it was stored.

    Raises:
        ValueError: it is not a valid CloudEvent, or too large.
    """
    if topic not in topics.DEAD_LETTERS or len(envelope.body) <= codec.MAX_BYTES:
        headers, value, key = codec.write(envelope, body=envelope.body or None)
        return Outgoing(topic=topic, key=key, value=value, headers=headers)
    # It carries a whole encrypted record; the topic allows it (topics.DEAD_LETTER_MAX_BYTES).
    headers, _, key = codec.write(replace(envelope, data=None))
    headers.append(("content-type", DATA_TYPE.encode()))
    return Outgoing(topic=topic, key=key, value=envelope.body, headers=headers)
