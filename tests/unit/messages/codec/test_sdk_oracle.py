"""The official SDK (cloudevents 2.2) as an oracle: we agree on every well-formed event.

Where it repairs or misreads what is malformed, the tests say so by name, and ours refuses.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings import http as sdk_http
from cloudevents.core.bindings import kafka as sdk
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar.messages.codec import http, kafka
from busbar.messages.envelope import Envelope, Unreadable
from support.uris import absolute, references

relaxed = settings(deadline=None)

letters = st.characters(exclude_categories=["Cc", "Cs", "Cn"])
texts = st.text(letters, min_size=1, max_size=30)
names = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=16).map("x".__add__)
offsets = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=offsets)  # noqa: DTZ001 - hypothesis adds the zone
unicode_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
json_values = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | unicode_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(unicode_text, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(unicode_text, json_values, max_size=3)

envelopes = st.builds(
    Envelope,
    id=texts,
    source=references,
    type=texts,
    subject=st.none() | texts,
    time=times,
    dataschema=st.none() | absolute,
    extensions=st.dictionaries(names, st.text(letters, max_size=20), max_size=4),
    data=json_values,
)


@st.composite
def sdk_events(draw: st.DrawFn) -> CloudEvent:
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": draw(texts),
        "source": draw(references),
        "type": draw(texts),
        "time": draw(times),
        "datacontenttype": draw(
            st.sampled_from(
                ["application/json", "text/json; charset=utf-8", "application/b+json; v=1"]
            )
        ),
    }
    for name in draw(st.sets(st.sampled_from(["subject", "dataschema"]))):
        attributes[name] = draw(absolute)
    attributes |= draw(st.dictionaries(names, st.text(letters, max_size=20), max_size=4))
    return CloudEvent(attributes, draw(objects))


def assert_same(ours: Envelope, theirs: BaseCloudEvent) -> None:
    core = {"specversion", "datacontenttype", "id", "source", "type", "subject", "time"}
    attributes = theirs.get_attributes()
    assert theirs.get_specversion() == "1.0"
    assert ours.id == theirs.get_id()
    assert ours.source == theirs.get_source()
    assert ours.type == theirs.get_type()
    assert ours.subject == theirs.get_subject()
    assert ours.time == theirs.get_time()
    assert ours.dataschema == theirs.get_dataschema()
    assert ours.data == theirs.get_data()
    assert ours.extensions == {
        name: value
        for name, value in attributes.items()
        if name not in core | {"dataschema", "partitionkey"}
    }


def as_message(
    record: tuple[list[tuple[str, bytes]], bytes | None, bytes | None],
) -> sdk.KafkaMessage:
    headers, value, key = record
    return sdk.KafkaMessage(headers=dict(headers), key=key, value=value or b"")


@relaxed
@given(envelopes)
def test_the_sdk_reads_our_binary_records(envelope: Envelope) -> None:
    assert_same(envelope, sdk.from_kafka_event(as_message(kafka.write(envelope))))


@relaxed
@given(envelopes)
def test_the_sdk_reads_our_structured_records(envelope: Envelope) -> None:
    assert_same(envelope, sdk.from_kafka_event(as_message(kafka.write_structured(envelope))))


@relaxed
@given(envelopes)
def test_the_sdk_reads_our_http_bodies(envelope: Envelope) -> None:
    message = sdk_http.HTTPMessage(
        headers={"content-type": http.CONTENT_TYPE}, body=http.structured(envelope)
    )
    assert_same(envelope, sdk_http.from_http_event(message))


@relaxed
@given(sdk_events(), st.none() | unicode_text)
def test_we_read_the_binary_records_of_the_sdk(event: CloudEvent, key: str | None) -> None:
    message = sdk.to_binary_event(event, key_mapper=lambda _: key)
    raw = None if key is None else key.encode()
    read = kafka.read(list(message.headers.items()), message.value, raw)
    assert_same(read, event)
    assert read.key == key


@relaxed
@given(sdk_events())
def test_we_read_the_structured_records_of_the_sdk(event: CloudEvent) -> None:
    message = sdk.to_structured_event(event)
    assert_same(kafka.read(list(message.headers.items()), message.value, None), event)


@relaxed
@given(sdk_events())
def test_we_read_the_http_messages_of_the_sdk(event: CloudEvent) -> None:
    for message in (sdk_http.to_binary_event(event), sdk_http.to_structured_event(event)):
        assert_same(http.read(list(message.headers.items()), message.body), event)


GOOD = {
    "ce_specversion": b"1.0",
    "ce_id": b"a1",
    "ce_source": b"/shop",
    "ce_type": b"order.placed.v1",
    "content-type": b"application/json",
}
EVENT = {"specversion": "1.0", "id": "a1", "source": "/shop", "type": "order.placed.v1"}
STRUCTURED = {"content-type": b"application/cloudevents+json"}


def sdk_reads(headers: dict[str, bytes], value: bytes) -> BaseCloudEvent:
    return sdk.from_kafka_event(sdk.KafkaMessage(headers=headers, key=None, value=value))


def refused_code(headers: dict[str, bytes], value: bytes) -> str:
    with pytest.raises(Unreadable) as refused:
        kafka.read(list(headers.items()), value, None)
    return refused.value.code


@pytest.mark.parametrize(
    ("name", "get"),
    [("id", CloudEvent.get_id), ("specversion", CloudEvent.get_specversion)],
)
def test_the_sdk_invents_a_missing_id_or_specversion_and_ours_refuses(
    name: str, get: Callable[[BaseCloudEvent], str]
) -> None:
    binary = {header: value for header, value in GOOD.items() if header != f"ce_{name}"}
    whole = json.dumps({member: text for member, text in EVENT.items() if member != name}).encode()
    for headers, value in ((binary, b"{}"), (STRUCTURED, whole)):
        assert get(sdk_reads(headers, value))
        assert refused_code(headers, value) == "missing_attribute"


def test_the_sdk_invents_a_missing_time_and_ours_leaves_it_out() -> None:
    assert sdk_reads(GOOD, b"{}").get_time() is not None
    assert kafka.read(list(GOOD.items()), b"{}", None).time is None


def test_the_sdk_reads_a_structured_record_with_ce_headers_as_binary_and_ours_reads_the_body() -> (
    None
):
    headers = GOOD | STRUCTURED | {"ce_id": b"header"}
    value = json.dumps(EVENT | {"data": 1}).encode()
    theirs = sdk_reads(headers, value)
    assert theirs.get_id() == "header"
    assert isinstance(theirs.get_data(), dict)  # the whole event, taken for its data
    ours = kafka.read(list(headers.items()), value, None)
    assert (ours.id, ours.data) == ("a1", 1)


def test_the_sdk_turns_bad_json_into_text_and_ours_refuses() -> None:
    assert sdk_reads(GOOD, b"{not json").get_data() == "{not json"
    assert refused_code(GOOD, b"{not json") == "bad_json"


def test_the_sdk_accepts_a_source_with_spaces_and_an_object_extension_and_ours_refuses() -> None:
    spaced = json.dumps(EVENT | {"source": "my shop"}).encode()
    nested = json.dumps(EVENT | {"note": {"a": 1}}).encode()
    for value in (spaced, nested):
        assert sdk_reads(STRUCTURED, value).get_id() == "a1"
        assert refused_code(STRUCTURED, value) == "bad_attribute"


def test_the_sdk_writes_no_data_as_an_empty_value_and_ours_reads_that_as_no_data() -> None:
    message = sdk.to_binary_event(CloudEvent(dict(EVENT), None))
    assert message.value == b""
    assert kafka.read(list(message.headers.items()), message.value, None).data is None


@relaxed
@given(sdk_events())
def test_we_read_the_bytes_that_the_sdk_writes_in_base64(event: CloudEvent) -> None:
    data = event.get_data()
    encoded = CloudEvent(event.get_attributes(), json.dumps(data).encode())
    message = sdk.to_structured_event(encoded)
    assert b"data_base64" in (message.value or b"")
    assert kafka.read(list(message.headers.items()), message.value, None).data == data


def test_the_sdk_writes_a_list_as_python_and_ours_refuses_that() -> None:
    event = CloudEvent(EVENT | {"datacontenttype": "application/json"}, [None, True])  # type: ignore[arg-type]  # the fault is about what its type forbids
    message = sdk.to_binary_event(event)
    assert message.value == b"[None, True]"
    assert refused_code(message.headers, message.value) == "bad_json"


def test_the_sdk_makes_the_key_an_attribute_and_ours_keeps_it_apart() -> None:
    message = sdk.KafkaMessage(headers=GOOD, key=b"orders", value=b"{}")
    assert sdk.from_kafka_event(message).get_extension("partitionkey") == "orders"
    ours = kafka.read(list(GOOD.items()), b"{}", b"orders")
    assert (ours.key, ours.extensions) == ("orders", {})


def test_a_time_of_the_sdk_reads_as_the_same_time() -> None:
    time = datetime(2026, 1, 31, 12, 0, 0, 123_456, timezone(timedelta(hours=-8)))
    message = sdk.to_structured_event(CloudEvent(EVENT | {"time": time}, None))
    read = kafka.read(list(message.headers.items()), message.value, None)
    assert read.time == time.astimezone(UTC)
