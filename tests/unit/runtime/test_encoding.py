"""Records and events: dead letters may be larger than anything else."""

import pytest

from busbar.messages.codec.kafka import MAX_BYTES
from busbar.messages.delivery import DeadLettered
from busbar.messages.envelope import Envelope, Unreadable
from busbar.messages.topics import FACTS_RESOURCE, dead_letters
from busbar.runtime.core import encoding
from busbar.runtime.core.bus import Outgoing, Record

LARGE = "x" * (MAX_BYTES + 1)


def event(text: str) -> Envelope:
    body = b'{"sealed":"%s"}' % text.encode()
    return Envelope(
        id="1",
        source="/busbar/policy",
        type=DeadLettered.TYPE,
        extensions={"sequence": "1"},
        data={"sealed": text},
        body=body,
        key="dead_letter",
    )


def arrived(sent: Outgoing, topic: str | None = None) -> Record:
    return Record(topic or sent.topic, 0, 0, 0, sent.key, sent.value, sent.headers)


@pytest.mark.parametrize("topic", [dead_letters("policy"), FACTS_RESOURCE])
def test_an_event_comes_back_as_it_was_sent(topic: str) -> None:
    assert encoding.read(arrived(encoding.write(topic, event("small")))) == event("small")


def test_a_dead_letter_of_any_size_comes_back_as_it_was_sent() -> None:
    sent = encoding.write(dead_letters("policy"), event(LARGE))
    assert encoding.read(arrived(sent)) == event(LARGE)


def test_nothing_else_may_be_as_large() -> None:
    with pytest.raises(ValueError, match=str(MAX_BYTES)):
        encoding.write(FACTS_RESOURCE, event(LARGE))
    found = encoding.read(
        arrived(encoding.write(dead_letters("policy"), event(LARGE)), FACTS_RESOURCE)
    )
    assert isinstance(found, Unreadable)
    assert found.code == "too_large"


@pytest.mark.parametrize("value", [b"{" * (MAX_BYTES + 1), b"\xff" * (MAX_BYTES + 1)])
def test_a_large_record_that_is_not_json_is_unreadable_on_every_topic(value: bytes) -> None:
    sent = encoding.write(dead_letters("policy"), event("small"))
    found = encoding.read(Record(sent.topic, 0, 0, 0, sent.key, value, sent.headers))
    assert isinstance(found, Unreadable)
