"""The official CloudEvents SDK at the edges of ours: its events go in and come out."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from busbar.messages.envelope import Envelope
from busbar.messages.http import FactItem
from busbar.sdk import Client, InvalidIntent, from_cloudevent, to_cloudevent
from support.uris import absolute, references
from unit.sdk.fake_gateway import FakeGateway, fact

MINIMAL: dict[str, Any] = {
    "id": "1",
    "source": "urn:team:payments",
    "type": "busbar.resource.delete.v1",
}

characters = st.characters(exclude_categories=["Cc", "Cs", "Cn"])
texts = st.text(characters, min_size=1, max_size=30)
names = st.from_regex(r"x[a-z0-9]{0,15}", fullmatch=True)
offsets = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=offsets)  # noqa: DTZ001 - hypothesis adds the zone
unicode_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | unicode_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(unicode_text, inner, max_size=3),
    max_leaves=6,
)
envelopes = st.builds(
    Envelope,
    id=texts,
    source=references,
    type=texts,
    subject=st.none() | texts,
    time=st.none() | times.map(lambda time: time.astimezone(UTC)),
    dataschema=st.none() | absolute,
    extensions=st.dictionaries(names, st.text(characters, max_size=20), max_size=4),
    data=json_values,
)


def changed(**attributes: Any) -> CloudEvent:
    """An official event whose attributes were changed after it was checked."""
    event = CloudEvent(dict(MINIMAL), {"team": "payments"})
    event.get_attributes().update(attributes)
    for name in [name for name, value in attributes.items() if value is None]:
        del event.get_attributes()[name]
    return event


@given(envelopes)
def test_an_envelope_comes_back_from_the_official_sdk_as_it_was(envelope: Envelope) -> None:
    assert from_cloudevent(to_cloudevent(envelope)) == envelope


@given(
    attributes=st.fixed_dictionaries(
        {"id": texts, "source": references, "type": texts, "time": times},
        optional={"subject": texts, "dataschema": absolute, "datacontenttype": st.just("a/b+json")},
    ),
    extensions=st.dictionaries(names, texts | st.booleans() | st.integers(-(2**31), 2**31 - 1)),
    data=st.dictionaries(unicode_text, json_values, max_size=3),
)
def test_every_attribute_of_an_official_event_is_in_the_envelope(
    attributes: dict[str, Any], extensions: dict[str, Any], data: dict[str, Any]
) -> None:
    envelope = from_cloudevent(CloudEvent({**extensions, **attributes}, data))
    assert (envelope.id, envelope.source) == (attributes["id"], attributes["source"])
    assert (envelope.type, envelope.time) == (attributes["type"], attributes["time"])
    assert envelope.subject == attributes.get("subject")
    assert envelope.dataschema == attributes.get("dataschema")
    assert envelope.data == data
    assert envelope.extensions.keys() == extensions.keys()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("id", None, "The event lacks id; its producer must send every one of them."),
        ("source", None, "The event lacks source; its producer must send every one of them."),
        ("id", "", 'The attribute "id" is empty; give it a value.'),
        ("specversion", "0.3", 'The attribute "specversion" must be "1.0".'),
        (
            "source",
            "my shop",
            (
                'The attribute "source" is not a URI reference (RFC 3986), as in urn:team:payments'
                " or /payments/billing; percent-encode other characters, a space as %20."
            ),
        ),
        (
            "note",
            2**31,
            'The attribute "note" is an integer that does not fit 32 bits; send it as a string.',
        ),
        ("time", datetime(2026, 1, 1), 'The attribute "time" needs a time zone.'),  # noqa: DTZ001 - wrong on purpose
        ("time", "soon", 'The attribute "time" must look like 2026-01-31T12:00:00Z (RFC 3339).'),
        ("note", {}, 'The attribute "note" must be text, a boolean, an integer or a time.'),
        (
            "Note",
            "x",
            'The extension name "Note" must be 1 to 100 of a-z and 0-9, and not data.',
        ),
        (
            "datacontenttype",
            "text/plain",
            (
                "The data's content type (datacontenttype) must be application/json or another"
                " whose subtype is json or ends in +json, with charset=utf-8 if it has a charset."
            ),
        ),
    ],
)
def test_an_invalid_event_is_refused_with_a_sentence_that_names_the_attribute(
    name: str, value: object, sentence: str
) -> None:
    with pytest.raises(InvalidIntent) as refused:
        from_cloudevent(changed(**{name: value}))
    assert str(refused.value) == sentence


@pytest.mark.parametrize("data", ['{"team": "a"}', b'{"team": "a"}'])
def test_text_and_bytes_are_read_as_a_json_document(data: str | bytes) -> None:
    assert from_cloudevent(CloudEvent(dict(MINIMAL), data)).data == {"team": "a"}


@pytest.mark.parametrize("data", ["{", b"\xff", "\ud800", '{"a": 1, "a": 2}'])
def test_data_that_is_not_json_is_refused(data: str | bytes) -> None:
    with pytest.raises(InvalidIntent, match=r"The data (is not|has the key)"):
        from_cloudevent(CloudEvent(dict(MINIMAL), data))


def test_an_event_without_a_time_is_not_given_one() -> None:
    assert to_cloudevent(Envelope(**MINIMAL)).get_time() is None


def test_an_envelope_without_an_id_is_not_given_one() -> None:
    with pytest.raises(ValueError, match=r'The attribute "id" is empty'):
        to_cloudevent(Envelope(**{**MINIMAL, "id": ""}))


async def test_an_official_event_is_published_as_it_is(
    client: Client, gateway: FakeGateway
) -> None:
    time = datetime(2026, 1, 31, 12, tzinfo=UTC)
    event = CloudEvent({**MINIMAL, "time": time, "expirytime": time}, {"team": "payments"})
    receipt = await client.publish(event)
    (published,) = gateway.published
    assert (published.id, published.time, published.data) == ("1", time, {"team": "payments"})
    assert published.extensions["expirytime"] == "2026-01-31T12:00:00Z"
    assert receipt.operation


async def test_nothing_is_sent_for_an_invalid_official_event(
    client: Client, gateway: FakeGateway
) -> None:
    with pytest.raises(InvalidIntent, match="lacks id"):
        await client.publish(changed(id=None))
    assert gateway.requests == []


async def test_an_implementation_of_the_protocol_is_as_good(client: Client) -> None:
    class Event:
        def get_attributes(self) -> dict[str, Any]:
            return {**MINIMAL, "specversion": "1.0", "subject": None}

        def get_data(self) -> bytes:
            return b"{}"

    assert (await client.publish(cast("BaseCloudEvent", Event()))).operation


async def test_facts_come_as_official_events_with_a_cursor(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.facts = [fact(1, data={"step": "topic"}), fact(2), fact(3)]
    events = [event async for event in client.fact_events()]
    assert [event.get_id() for event in events] == ["fact-1", "fact-2", "fact-3"]
    assert events[0].get_data() == {"step": "topic"}
    assert events[0].get_subject() == "payments/dev/event-stream/orders"
    assert events[0].get_time() == datetime(2026, 1, 31, 12, tzinfo=UTC)
    rest = client.fact_events(after=events[1].get_extension("cursor"))
    assert [event.get_id() async for event in rest] == ["fact-3"]


def test_a_fact_keeps_its_identity() -> None:
    item = FactItem.model_validate(fact(7))
    event = to_cloudevent(item)
    identity = (event.get_id(), event.get_source(), event.get_type())
    assert identity == (item.id, item.source, item.type)
