"""Kafka records: what is read and what is written."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from busbar.messages.codec import kafka
from busbar.messages.envelope import Envelope, Unreadable
from support.records import EVENT, GOOD, REQUIRED, STRUCTURED, Headers, event, having, lacking
from unit.messages.codec.refusals import refusal

ENVELOPE = Envelope(id="a1", source="/shop", type="busbar.resource.apply.v1", data={"n": 1})


def test_a_binary_record_is_read() -> None:
    headers = having(
        ("ce_subject", b"topic/orders"),
        ("ce_time", b"2026-01-31T12:00:00.5+01:00"),
        ("ce_dataschema", b"https://busbar.dev/schemas/v1"),
        ("ce_correlationid", "größe".encode()),
    )
    assert kafka.read(headers, b'{"n": 1}', b"orders") == Envelope(
        id="a1",
        source="/shop",
        type="busbar.resource.apply.v1",
        subject="topic/orders",
        time=datetime(2026, 1, 31, 11, 0, 0, 500_000, UTC),
        dataschema="https://busbar.dev/schemas/v1",
        extensions={"correlationid": "größe"},
        data={"n": 1},
        body=b'{"n": 1}',
        key="orders",
    )


def test_a_structured_record_is_read_and_its_body_is_the_whole_value() -> None:
    value = event(sequence=12, sampled=True, other=False, text="x", gone=None, subject=None)
    assert kafka.read(STRUCTURED, value, b"orders") == replace(
        ENVELOPE,
        extensions={"sequence": "12", "sampled": "true", "other": "false", "text": "x"},
        body=value,
        key="orders",
    )


def test_header_names_and_media_types_are_read_in_any_case() -> None:
    headers: Headers = [(name.upper(), value) for name, value in lacking("content-type")]
    headers.append(("Content-Type", b"Application/JSON; Charset=UTF-8"))
    assert kafka.read(headers, b"{}", None).id == "a1"
    assert kafka.read([("CONTENT-TYPE", b"APPLICATION/CloudEvents+JSON")], event(), None).id == "a1"


def test_a_tombstone_is_an_event_without_data() -> None:
    read = kafka.read(lacking("content-type"), None, b"orders")
    assert read == replace(ENVELOPE, data=None, key="orders")


def test_a_structured_event_without_a_data_member_has_none() -> None:
    value = json.dumps({name: EVENT[name] for name in REQUIRED}).encode()
    assert kafka.read(STRUCTURED, value, None).data is None


def test_the_body_of_a_structured_event_wins_over_any_ce_header() -> None:
    headers = [
        *STRUCTURED,
        ("ce_id", b"other"),
        ("ce_id", b"again"),
        ("ce_source", None),
        ("ce_type", b"\xff"),
    ]
    assert kafka.read(headers, event(), None).id == "a1"


def test_headers_of_other_tools_are_skipped_whatever_they_hold() -> None:
    headers = [*GOOD, ("x-trace-bin", b"\xff\x00"), ("x-null", None), ("x-null", b"twice")]
    assert kafka.read(headers, b'{"n":1}', None) == replace(ENVELOPE, body=b'{"n":1}')


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/json",
        "application/json;charset=utf-8",
        'application/json; charset="UTF-8"',
        "application/vnd.busbar.v1+json",
        "text/x+json",
    ],
)
def test_json_data_is_read_under_every_json_content_type(content_type: str | None) -> None:
    headers = lacking("content-type")
    if content_type is not None:
        headers.append(("content-type", content_type.encode()))
    assert kafka.read(headers, b"[1]", None).data == [1]
    assert kafka.read(STRUCTURED, event(data=[1], datacontenttype=content_type), None).data == [1]


TIMES = {
    "2026-01-31T12:00:00Z": datetime(2026, 1, 31, 12, tzinfo=UTC),
    "2026-01-31t12:00:00z": datetime(2026, 1, 31, 12, tzinfo=UTC),
    "2026-01-31T12:00:00-00:00": datetime(2026, 1, 31, 12, tzinfo=UTC),
    "2026-01-31T12:00:00.1Z": datetime(2026, 1, 31, 12, 0, 0, 100_000, UTC),
    "2026-01-31T12:00:00.123456789+05:30": datetime(2026, 1, 31, 6, 30, 0, 123_456, UTC),
    "2024-02-29T23:59:59+23:59": datetime(2024, 2, 29, 0, 0, 59, tzinfo=UTC),
}


@pytest.mark.parametrize(("text", "expected"), TIMES.items())
def test_an_rfc_3339_time_is_read_in_utc(text: str, expected: datetime) -> None:
    read = kafka.read(having(("ce_time", text.encode())), None, None).time
    assert read == expected
    assert read is not None
    assert read.tzinfo is UTC


def test_an_empty_extension_is_allowed() -> None:
    assert kafka.read(having(("ce_note", b"")), None, None).extensions == {"note": ""}


def test_limits_are_the_last_value_that_is_read() -> None:
    headers = having(
        ("ce_id", b"i" * 1024),
        ("ce_source", b"/" + b"s" * 1023),
        ("ce_type", b"t" * 255),
        ("ce_" + "n" * 100, b"n" * 4096),
        *[(f"ce_n{n}", b"1") for n in range(59)],
        *[("x", b"1")] * 35,
    )
    assert len(headers) == 100
    assert len(kafka.read(headers, b"{}", None).extensions) == 60


def test_a_body_of_900_kb_is_read_in_either_mode() -> None:
    text = "x" * 900_000
    assert kafka.read(GOOD, json.dumps(text).encode(), None).data == text
    assert kafka.read(STRUCTURED, event(data=text), None).data == text


@pytest.mark.parametrize("key", [b"a\xff", b"\x00\x00\x00\x07", b"\xed\xa0\x80", b""])
def test_a_key_of_any_bytes_is_read_and_written(key: bytes) -> None:
    assert kafka.write(kafka.read(GOOD, b"{}", key))[2] == key


def test_64_levels_of_data_are_read_in_either_mode() -> None:
    data = b"[" * 64 + b"]" * 64
    envelope = kafka.read(GOOD, data, None)
    assert kafka.read(*kafka.write_structured(envelope)).data == envelope.data
    assert refusal(GOOD, b"[" + data + b"]").code == "bad_json"
    assert refusal(STRUCTURED, event(data=json.loads(b"[" + data + b"]"))).code == "bad_json"


def test_json_null_means_no_data_but_keeps_its_body() -> None:
    assert kafka.read(GOOD, b"null", None) == replace(ENVELOPE, data=None, body=b"null")


def test_headers_are_written_in_a_stable_order() -> None:
    envelope = replace(
        ENVELOPE,
        subject="s",
        time=datetime(2026, 1, 31, 13, tzinfo=timezone(timedelta(hours=1))),
        dataschema="urn:x",
        extensions={"traceparent": "00-1", "causationid": "ü"},
        key="schlüssel",
    )
    assert kafka.write(envelope) == (
        [
            ("ce_specversion", b"1.0"),
            ("ce_id", b"a1"),
            ("ce_source", b"/shop"),
            ("ce_type", b"busbar.resource.apply.v1"),
            ("ce_subject", b"s"),
            ("ce_time", b"2026-01-31T12:00:00Z"),
            ("ce_dataschema", b"urn:x"),
            ("ce_causationid", "ü".encode()),
            ("ce_traceparent", b"00-1"),
            ("content-type", b"application/json"),
        ],
        b'{"n":1}',
        "schlüssel".encode(),
    )


def test_a_structured_event_is_written_as_one_json_object() -> None:
    headers, value, key = kafka.write_structured(ENVELOPE)
    assert headers == [("content-type", b"application/cloudevents+json; charset=UTF-8")]
    assert value == (
        b'{"specversion":"1.0","id":"a1","source":"/shop","type":"busbar.resource.apply.v1",'
        b'"datacontenttype":"application/json","data":{"n":1}}'
    )
    assert key is None


def test_an_event_without_data_is_written_as_a_tombstone() -> None:
    headers, value, _ = kafka.write(replace(ENVELOPE, data=None))
    assert value is None
    assert [name for name, _ in headers] == ["ce_specversion", "ce_id", "ce_source", "ce_type"]
    _, whole, _ = kafka.write_structured(replace(ENVELOPE, data=None))
    assert whole is not None
    assert b"data" not in whole


def test_the_partitionkey_attribute_never_becomes_the_key() -> None:
    envelope = replace(ENVELOPE, extensions={"partitionkey": "p"})
    assert kafka.write(envelope)[2] is None
    assert kafka.read([*GOOD], b"{}", b"k").extensions == {}


UNWRITABLE = {
    "an empty id": (replace(ENVELOPE, id=""), "id"),
    "a long id": (replace(ENVELOPE, id="i" * 1025), "id"),
    "an empty subject": (replace(ENVELOPE, subject=""), "subject"),
    "a control character": (replace(ENVELOPE, type="a\n"), "type"),
    "a lone surrogate": (replace(ENVELOPE, subject="\ud800"), "subject"),
    "a source with a space": (replace(ENVELOPE, source="my shop"), "source"),
    "a naive time": (replace(ENVELOPE, time=datetime(2026, 1, 1)), "time"),  # noqa: DTZ001 - the point
    "a time before the year 1": (
        replace(ENVELOPE, time=datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))),
        "time",
    ),
    "an extension in capitals": (replace(ENVELOPE, extensions={"Note": ""}), "Note"),
    "an extension called id": (replace(ENVELOPE, extensions={"id": "b2"}), "id"),
    "an extension called data": (replace(ENVELOPE, extensions={"data": "b2"}), "data"),
    "an extension called datacontenttype": (
        replace(ENVELOPE, extensions={"datacontenttype": "text/plain"}),
        "datacontenttype",
    ),
    "too many extensions": (replace(ENVELOPE, extensions={f"n{n}": "" for n in range(61)}), "65"),
    "data with NaN": (replace(ENVELOPE, data=[float("nan")]), "NaN"),
    "data that JSON cannot hold": (replace(ENVELOPE, data={1, 2}), "JSON"),
    "a long body": (replace(ENVELOPE, data="x" * 1_000_000), "1000000"),
    "a key with a lone surrogate": (replace(ENVELOPE, key="\ud800"), "key"),
}


@pytest.mark.parametrize(("envelope", "named"), UNWRITABLE.values(), ids=UNWRITABLE.keys())
def test_an_invalid_envelope_is_not_written(envelope: Envelope, named: str) -> None:
    for write in (kafka.write, kafka.write_structured):
        with pytest.raises(ValueError, match=named) as refused:
            write(envelope)
        assert not isinstance(refused.value, Unreadable)
