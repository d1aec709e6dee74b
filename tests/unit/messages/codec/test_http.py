"""HTTP messages, good and hostile."""

import json
from dataclasses import replace

import pytest

from busbar.messages.codec import http
from busbar.messages.envelope import Envelope, Unreadable

GOOD = [
    ("Host", "busbar.dev"),
    ("ce-specversion", "1.0"),
    ("ce-id", "a1"),
    ("ce-source", "/shop"),
    ("ce-type", "busbar.resource.apply.v1"),
    ("Content-Type", "application/json; charset=utf-8"),
]
STRUCTURED = [("Content-Type", http.CONTENT_TYPE)]
ENVELOPE = Envelope(id="a1", source="/shop", type="busbar.resource.apply.v1", data={"n": 1})


def refusal(headers: list[tuple[str, str]], body: bytes) -> Unreadable:
    with pytest.raises(Unreadable) as refused:
        http.read(headers, body)
    assert refused.value.detail.endswith(".")
    assert refused.value.detail.isprintable()
    return refused.value


def test_a_binary_message_is_read() -> None:
    assert http.read(GOOD, b'{"n":1}') == replace(ENVELOPE, body=b'{"n":1}')


def test_a_binary_message_with_an_empty_body_has_no_data() -> None:
    assert http.read(GOOD, b"") == replace(ENVELOPE, data=None)


def test_a_structured_message_is_read() -> None:
    body = http.structured(ENVELOPE)
    assert http.read(STRUCTURED, body) == replace(ENVELOPE, body=body)


def test_a_structured_message_is_one_json_object() -> None:
    assert json.loads(http.structured(replace(ENVELOPE, extensions={"note": "ü"}))) == {
        "specversion": "1.0",
        "id": "a1",
        "source": "/shop",
        "type": "busbar.resource.apply.v1",
        "note": "ü",
        "datacontenttype": "application/json",
        "data": {"n": 1},
    }


def test_an_invalid_envelope_is_not_written() -> None:
    with pytest.raises(ValueError, match='"id" is empty'):
        http.structured(replace(ENVELOPE, id=""))


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("plain", "plain"),
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro \u20ac \U0001f600"),  # the specification's own
        ("%e2%82%ac", "\u20ac"),
        ("%61%62", "ab"),
        ("100%25", "100%"),
        ("%2520", "%20"),
        ("a b", "a b"),
        ("  around\t", "around"),
        ('"quoted"', "quoted"),
        (r'"a \"b\" \\c"', r'a "b" \c'),
        ('before "and" after', "before and after"),
        ('"%20"', " "),
        ("a+b", "a+b"),
        ("", ""),
        ('""', ""),
    ],
)
def test_a_header_value_is_unquoted_and_then_percent_decoded_once(header: str, text: str) -> None:
    assert http.read([*GOOD, ("CE-Note", header)], b"").extensions == {"note": text}


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("%C0%A0", "UTF-8"),
        ("%ff", "UTF-8"),
        ("%ED%A0%80", "UTF-8"),
        ("100%", "%25"),
        ("%2", "%25"),
        ("%zz", "%25"),
        ("größe", "percent-encode"),
        ("gr\udcf6\udcdfe", "percent-encode"),
        ('"open', "%22"),
        ('a"', "%22"),
        (r'"a\"', "%22"),
    ],
)
def test_a_header_value_that_does_not_decode_is_refused_by_name(header: str, why: str) -> None:
    refused = refusal([*GOOD, ("ce-note", header)], b"")
    assert refused.code == "bad_attribute"
    assert '"ce-note"' in refused.detail
    assert why in refused.detail


@pytest.mark.timeout(60)  # by the square of its length, each would take hours
@pytest.mark.parametrize("end", ["", "\\", '"', "%", '" "'])
def test_a_header_of_200_000_quotes_is_refused_immediately(end: str) -> None:
    for piece in ('\\"', '"', "%", "\\\\", '""'):
        refusal([*GOOD, ("ce-note", '"' + piece * 200_000 + "x" * 5_000 + end)], b"")


@pytest.mark.parametrize("header", ["%00", "a%0d%0aSet-Cookie: b", "%7F", "%EF%BF%BE", "a\x00"])
def test_control_characters_cannot_be_smuggled_in(header: str) -> None:
    refused = refusal([*GOOD, ("ce-note", header)], b"")
    assert refused.code == "bad_attribute"
    assert "U+" in refused.detail


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ([], b"{}", "not_a_cloudevent"),
        (GOOD[:1] + GOOD[5:], b"{}", "not_a_cloudevent"),
        (GOOD[:2] + GOOD[3:], b"{}", "missing_attribute"),
        ([*GOOD, ("CE-ID", "b2")], b"{}", "duplicate_attribute"),
        ([*GOOD, ("content-type", "application/json")], b"{}", "duplicate_attribute"),
        ([*GOOD, ("ce-datacontenttype", "application/json")], b"{}", "bad_attribute"),
        ([*GOOD, ("ce-my-note", "1")], b"{}", "bad_attribute"),
        ([*GOOD[:5], ("Content-Type", "text/plain")], b"{}", "bad_content_type"),
        ([*GOOD[:5], ("Content-Type", "tëxt/plain")], b"{}", "bad_content_type"),
        ([*GOOD, ("ce-time", "now")], b"{}", "bad_time"),
        (GOOD, b"{", "bad_json"),
        (GOOD, b" " * 1_000_001, "too_large"),
        ([*GOOD, *[("x", "1")] * 1_000], b"{}", "too_many_headers"),
        ([("content-type", "application/cloudevents-batch+json")], b"[]", "batch_not_supported"),
        ([("content-type", "application/cloudevents+avro")], b"{}", "bad_content_type"),
        (STRUCTURED, b"", "no_data"),
        (STRUCTURED, b"[]", "bad_json"),
        (STRUCTURED, b"{}", "missing_attribute"),
    ],
    ids=str,
)
def test_a_message_that_is_not_an_event_is_refused(
    headers: list[tuple[str, str]], body: bytes, code: str
) -> None:
    assert refusal(headers, body).code == code
