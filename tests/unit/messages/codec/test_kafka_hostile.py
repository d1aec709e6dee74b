"""Kafka records of hostile or careless producers: each is refused, with a code and by name."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from busbar.messages.codec import kafka
from busbar.messages.envelope import CODES, Unreadable

Headers = list[tuple[str, bytes | None]]

REQUIRED = ["specversion", "id", "source", "type"]
GOOD: Headers = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"a1"),
    ("ce_source", b"/shop"),
    ("ce_type", b"busbar.resource.apply.v1"),
    ("content-type", b"application/json"),
]
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "a1",
    "source": "/shop",
    "type": "busbar.resource.apply.v1",
    "data": {"n": 1},
}
STRUCTURED: Headers = [("content-type", b"application/cloudevents+json; charset=UTF-8")]


def having(*headers: tuple[str, bytes | None]) -> Headers:
    """The good headers, with these instead of or beside them."""
    names = {name for name, _ in headers}
    return [pair for pair in GOOD if pair[0] not in names] + list(headers)


def lacking(name: str) -> Headers:
    return [pair for pair in GOOD if pair[0] != name]


def event(**members: Any) -> bytes:
    return json.dumps(EVENT | members).encode()


def refusal(headers: Sequence[tuple[str, bytes | None]], value: bytes | None) -> Unreadable:
    with pytest.raises(Unreadable) as refused:
        kafka.read(headers, value, None)
    assert refused.value.code in CODES
    assert refused.value.detail.endswith(".")
    assert refused.value.detail.isprintable()
    assert len(refused.value.detail) < 250
    return refused.value


BAD_TIMES = {
    "2026-01-31T12:00:00": "offset",
    "2026-01-31T12:00:60Z": "second 60",
    "2026-01-31T23:59:60.5+01:00": "second 60",
    "2026-01-31 12:00:00Z": "RFC 3339",
    "2026-01-31T12:00Z": "RFC 3339",
    "2026-01-31T24:00:00Z": "RFC 3339",
    "2026-01-31T12:60:00Z": "RFC 3339",
    "2026-01-31T12:00:00+0100": "RFC 3339",
    "2026-01-31T12:00:00+24:00": "RFC 3339",
    "2026-01-31T12:00:00+01:60": "RFC 3339",
    "2026-01-31T12:00:00,5Z": "RFC 3339",
    "2026-01-31T12:00:00.Z": "RFC 3339",
    "20260131T120000Z": "RFC 3339",
    "2026-W05-6T12:00:00Z": "RFC 3339",
    "２０２６-01-31T12:00:00Z": "RFC 3339",  # noqa: RUF001 - digits outside ASCII are the point
    "2026-01-31": "RFC 3339",
    "1769860800": "RFC 3339",
    "yesterday": "RFC 3339",
    " 2026-01-31T12:00:00Z": "RFC 3339",
    "2026-02-30T12:00:00Z": "calendar",
    "2026-13-01T12:00:00Z": "calendar",
    "0000-01-01T00:00:00Z": "calendar",
    "0001-01-01T00:00:00+01:00": "calendar",
    "9999-12-31T23:59:59-01:00": "calendar",
}


@pytest.mark.parametrize(("text", "why"), BAD_TIMES.items())
def test_any_other_time_is_refused(text: str, why: str) -> None:
    for refused in (
        refusal(having(("ce_time", text.encode())), None),
        refusal(STRUCTURED, event(time=text)),
    ):
        assert refused.code == "bad_time"
        assert '"time"' in refused.detail
        assert why in refused.detail


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_required_attribute_is_an_error_and_never_invented(name: str) -> None:
    rest = {member: value for member, value in EVENT.items() if member != name}
    for refused in (
        refusal(lacking(f"ce_{name}"), b"{}"),
        refusal(STRUCTURED, json.dumps(rest).encode()),
        refusal(STRUCTURED, event(**{name: None})),
    ):
        assert refused.code == "missing_attribute"
        assert name in refused.detail


@pytest.mark.parametrize("name", [*REQUIRED, "subject", "time", "dataschema"])
def test_an_empty_attribute_is_refused_by_its_name(name: str) -> None:
    for refused in (
        refusal(having((f"ce_{name}", b"")), b"{}"),
        refusal(STRUCTURED, event(**{name: ""})),
    ):
        assert refused.code == "empty_attribute"
        assert f'"{name}"' in refused.detail


@pytest.mark.parametrize("version", ["0.3", "1", "1.0.2", "1.1", " 1.0", "v1.0"])
def test_another_specversion_is_refused(version: str) -> None:
    for refused in (
        refusal([("ce_specversion", version.encode())], b"{}"),
        refusal(STRUCTURED, event(specversion=version)),
    ):
        assert refused.code == "bad_specversion"


BAD_HEADERS: dict[str, tuple[Headers, str, str]] = {
    "a null id": (having(("ce_id", None)), "bad_attribute", "ce_id"),
    "a null extension": (having(("ce_note", None)), "bad_attribute", "ce_note"),
    "a null content-type": (having(("content-type", None)), "bad_attribute", "content-type"),
    "an id that is not UTF-8": (having(("ce_id", b"\xff")), "bad_attribute", "ce_id"),
    "an extension in Latin-1": (having(("ce_note", b"gr\xf6")), "bad_attribute", "ce_note"),
    "a content-type not in UTF-8": (
        having(("content-type", b"\xff")),
        "bad_attribute",
        "content-type",
    ),
    "a second id": ([*GOOD, ("ce_id", b"a1")], "duplicate_attribute", "ce_id"),
    "a second id in capitals": ([*GOOD, ("CE_ID", b"b2")], "duplicate_attribute", "CE_ID"),
    "a second content-type": (
        [*GOOD, ("Content-Type", b"application/json")],
        "duplicate_attribute",
        "Content-Type",
    ),
    "two content-types of one event": (
        [*STRUCTURED, ("Content-Type", b"application/json")],
        "duplicate_attribute",
        "Content-Type",
    ),
    "a content-type among the ce_ headers": (
        having(("ce_datacontenttype", b"application/json")),
        "bad_attribute",
        "ce_datacontenttype",
    ),
    "an extension called data": (having(("ce_data", b"1")), "bad_attribute", "data"),
    "an extension without a name": (having(("ce_", b"1")), "bad_attribute", '""'),
    "an extension with a dash": (having(("ce_my-note", b"1")), "bad_attribute", "my-note"),
    "an extension with an underscore": (having(("ce_my_note", b"1")), "bad_attribute", "my_note"),
    "an extension of 21 letters": (having(("ce_" + "n" * 21, b"1")), "bad_attribute", "n" * 21),
    "an extension of 100,000 letters": (having(("ce_" + "n" * 10**5, b"1")), "bad_attribute", "nn"),
    "a kelvin sign for a k": (having(("ce_\u212aey", b"1")), "bad_attribute", "\\u212aey"),
    "a newline in a name": (having(("ce_a\n", b"1")), "bad_attribute", "a\\n"),
    "a control character": (having(("ce_subject", b"a\x00b")), "bad_attribute", "subject"),
    "a newline": (having(("ce_id", b"a\n")), "bad_attribute", "U+000A"),
    "a C1 control character": (having(("ce_id", "a\x85".encode())), "bad_attribute", "U+0085"),
    "a DEL": (having(("ce_id", b"a\x7f")), "bad_attribute", "U+007F"),
    "a noncharacter": (having(("ce_id", "\ufffe".encode())), "bad_attribute", "U+FFFE"),
    "a noncharacter of a high plane": (
        having(("ce_note", "\U0010ffff".encode())),
        "bad_attribute",
        "U+10FFFF",
    ),
    "an Arabic noncharacter": (having(("ce_note", "\ufdd0".encode())), "bad_attribute", "U+FDD0"),
    "an id of 10 kB": (having(("ce_id", b"i" * 10_000)), "bad_attribute", '"id"'),
    "an id of 1025 bytes": (having(("ce_id", b"i" * 1025)), "bad_attribute", "1024"),
    "an id of 513 two-byte letters": (
        having(("ce_id", "é".encode() * 513)),
        "bad_attribute",
        "1024",
    ),
    "a source of 1025 bytes": (having(("ce_source", b"s" * 1025)), "bad_attribute", "1024"),
    "a type of 256 bytes": (having(("ce_type", b"t" * 256)), "bad_attribute", "255"),
    "an extension of 4097 bytes": (having(("ce_note", b"n" * 4097)), "bad_attribute", "4096"),
    "a source with a space": (having(("ce_source", b"/my shop")), "bad_attribute", '"source"'),
    "a source with a wide space": (
        having(("ce_source", "/my\u2003shop".encode())),
        "bad_attribute",
        '"source"',
    ),
    "a dataschema with a space": (
        having(("ce_dataschema", b"https://a b")),
        "bad_attribute",
        '"dataschema"',
    ),
    "65 attributes": (
        having(*[(f"ce_n{n}", b"1") for n in range(61)]),
        "bad_attribute",
        "65",
    ),
    "1,000 headers": ([*GOOD, *[("x", b"1")] * 1_000], "too_many_headers", "1005"),
    "101 headers": ([*GOOD, *[("x", b"1")] * 96], "too_many_headers", "101"),
    "no header at all": ([], "not_a_cloudevent", "content-type"),
    "a JSON record of somebody else": (
        [("content-type", b"application/json"), ("id", b"1")],
        "not_a_cloudevent",
        "ce_",
    ),
    "a batch": (
        [("content-type", b"application/cloudevents-batch+json")],
        "batch_not_supported",
        "content-type",
    ),
    "a batch in capitals": (
        [("Content-Type", b"Application/CloudEvents-Batch+JSON; charset=UTF-8")],
        "batch_not_supported",
        "content-type",
    ),
    "an Avro event": (
        having(("content-type", b"application/cloudevents+avro")),
        "bad_content_type",
        "content-type",
    ),
    "an event in no format": (
        having(("content-type", b"application/cloudevents")),
        "bad_content_type",
        "content-type",
    ),
    "an event in Latin-1": (
        having(("content-type", b"application/cloudevents+json; charset=latin-1")),
        "bad_content_type",
        "charset",
    ),
    "text": (having(("content-type", b"text/plain")), "bad_content_type", "datacontenttype"),
    "text/json": (having(("content-type", b"text/json")), "bad_content_type", "datacontenttype"),
    "an empty content type": (having(("content-type", b"")), "bad_content_type", "datacontenttype"),
    "JSON in UTF-16": (
        having(("content-type", b"application/json; charset=utf-16")),
        "bad_content_type",
        "charset",
    ),
    "JSON with a profile": (
        having(("content-type", b"application/json; profile=x")),
        "bad_content_type",
        "charset",
    ),
    "JSON lines": (
        having(("content-type", b"application/jsonl")),
        "bad_content_type",
        "datacontenttype",
    ),
}


@pytest.mark.parametrize(("headers", "code", "named"), BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_a_record_with_bad_headers_is_refused_by_name(
    headers: Headers, code: str, named: str
) -> None:
    refused = refusal(headers, event())
    assert refused.code == code
    assert named in refused.detail


BAD_VALUES: dict[str, tuple[bytes | None, str, str]] = {
    "an id that is a number": (event(id=1), "bad_attribute", '"id"'),
    "a type that is a list": (event(type=["t"]), "bad_attribute", '"type"'),
    "a subject that is a boolean": (event(subject=True), "bad_attribute", '"subject"'),
    "a time that is a number": (event(time=1769860800), "bad_attribute", '"time"'),
    "a datacontenttype that is a number": (
        event(datacontenttype=1),
        "bad_attribute",
        '"datacontenttype"',
    ),
    "an extension that is an object": (event(note={}), "bad_attribute", '"note"'),
    "an extension that is a list": (event(note=[]), "bad_attribute", '"note"'),
    "an extension that is a fraction": (event(note=1.0), "bad_attribute", '"note"'),
    "an extension in capitals": (event(Note="1"), "bad_attribute", '"Note"'),
    "an extension with a control character": (event(note="\x1b"), "bad_attribute", "U+001B"),
    "a member without a name": (event(**{"": 1}), "bad_attribute", '""'),
    "data in base64": (event(data_base64="e30="), "bad_content_type", "data_base64"),
    "data that is XML": (
        event(datacontenttype="text/xml", data="<a/>"),
        "bad_content_type",
        "datacontenttype",
    ),
    "an id of 10 kB": (event(id="i" * 10_000), "bad_attribute", '"id"'),
    "65 attributes": (event(**{f"n{n}": 1 for n in range(61)}), "bad_attribute", "65"),
    "an id given twice": (
        b'{"id":"a","id":"b","source":"s","type":"t","specversion":"1.0"}',
        "duplicate_attribute",
        '"id"',
    ),
    "a key of the data given twice": (
        event()[:-1].replace(b'{"n": 1}', b'{"n":1,"n":2}') + b"}",
        "duplicate_attribute",
        '"n"',
    ),
    "a list of events": (b"[" + event() + b"]", "bad_json", "object"),
    "a string": (b'"event"', "bad_json", "object"),
    "null": (b"null", "bad_json", "object"),
    "NaN": (event()[:-1] + b',"a":NaN}', "bad_json", "line 1"),
    "a byte order mark": (b"\xef\xbb\xbf" + event(), "bad_json", "event"),
    "a lone surrogate": (event(note="\ud800"), "bad_json", "surrogate"),
    "bytes that are not UTF-8": (event()[:-1] + b',"a":"\xff"}', "bad_json", "UTF-8"),
    "100,000 levels": (event()[:-1] + b',"a":' + b"[" * 10**5, "bad_json", "event"),
    "no value": (None, "no_data", "body"),
    "an empty value": (b"", "no_data", "value"),
    "a value of a million bytes and one": (b" " * 1_000_001, "too_large", "1000000"),
}


@pytest.mark.parametrize(("value", "code", "named"), BAD_VALUES.values(), ids=BAD_VALUES.keys())
def test_a_bad_structured_value_is_refused_by_name(
    value: bytes | None, code: str, named: str
) -> None:
    refused = refusal(STRUCTURED, value)
    assert refused.code == code
    assert named in refused.detail


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "no_data"),
        (b"hello", "bad_json"),
        (b'{"a":1,"a":2}', "duplicate_attribute"),
        (b"\xef\xbb\xbf{}", "bad_json"),
        (b'"\\ud800"', "bad_json"),
        (b"NaN", "bad_json"),
        (b"[" * 100_000, "bad_json"),
        (b'"' + b"x" * 1_000_000, "too_large"),
    ],
    ids=lambda drawn: repr(drawn)[:20],
)
def test_a_bad_binary_value_is_refused(value: bytes, code: str) -> None:
    assert refusal(GOOD, value).code == code
