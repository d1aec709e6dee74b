"""Any event survives every mode and binding; any garbage is an event or unreadable."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar.messages.codec import http, kafka
from busbar.messages.codec.json import dump_json
from busbar.messages.envelope import Envelope, Unreadable
from support.uris import absolute, references
from unit.messages.codec.refusals import assert_helpful

# A shared machine may pause: no deadline for one example.
relaxed = settings(deadline=None)

# No control characters, surrogates or unassigned code points (noncharacters among them).
letters = st.characters(exclude_categories=["Cc", "Cs", "Cn"])
names = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=100).filter(
    lambda name: (
        name
        not in {
            "data",
            "dataschema",
            "datacontenttype",
            "id",
            "source",
            "specversion",
            "subject",
            "time",
            "type",
        }
    )
)
offsets = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
unicode_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | unicode_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(unicode_text, inner, max_size=3),
    max_leaves=8,
)
envelopes = st.builds(
    Envelope,
    id=st.text(letters, min_size=1, max_size=60),
    source=references,
    type=st.text(letters, min_size=1, max_size=60),
    subject=st.none() | st.text(letters, min_size=1, max_size=60),
    time=st.none() | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=offsets),  # noqa: DTZ001 - hypothesis adds the zone
    dataschema=st.none() | absolute,
    extensions=st.dictionaries(names, st.text(letters, max_size=30), max_size=5),
    data=json_values,
    key=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)


def without_body(envelope: Envelope) -> Envelope:
    return replace(envelope, body=b"")


def as_http(headers: list[tuple[str, bytes]]) -> list[tuple[str, str]]:
    """Kafka headers as the HTTP binding writes them: everything but U+0021-U+007E escaped."""
    safe = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
    return [
        (name, value.decode())
        if name == "content-type"
        else (name.replace("ce_", "ce-"), quote(value, safe=safe))
        for name, value in headers
    ]


@relaxed
@given(envelopes)
def test_a_binary_record_reads_as_what_was_written(envelope: Envelope) -> None:
    headers, value, key = kafka.write(envelope)
    read = kafka.read(headers, value, key)
    assert without_body(read) == envelope
    assert read.body == (value or b"")
    assert dump_json(read.data) == dump_json(envelope.data)  # 1 is not true, 1.0 is not 1


@relaxed
@given(envelopes)
def test_a_structured_record_reads_as_what_was_written(envelope: Envelope) -> None:
    headers, value, key = kafka.write_structured(envelope)
    read = kafka.read(headers, value, key)
    assert without_body(read) == envelope
    assert read.body == value
    assert dump_json(read.data) == dump_json(envelope.data)


@relaxed
@given(envelopes)
def test_kafka_and_http_agree_in_both_modes(envelope: Envelope) -> None:
    headers, value, _ = kafka.write(envelope)
    expected = replace(envelope, key=None)
    assert without_body(http.read(as_http(headers), value or b"")) == expected
    body = http.structured(envelope)
    assert body == kafka.write_structured(envelope)[1]
    assert without_body(http.read([("content-type", http.CONTENT_TYPE)], body)) == expected


@relaxed
@given(envelopes)
def test_writing_is_deterministic_whatever_the_order_of_the_extensions(envelope: Envelope) -> None:
    turned = replace(envelope, extensions=dict(reversed(list(envelope.extensions.items()))))
    assert kafka.write(turned) == kafka.write(envelope)
    assert kafka.write_structured(turned) == kafka.write_structured(envelope)


def event_or_unreadable(read: Callable[[], Envelope]) -> Envelope | None:
    """The event, checked to be whole; or nothing, when it was refused as promised."""
    try:
        envelope = read()
    except Unreadable as error:
        assert_helpful(error)
        return None
    assert envelope.id
    assert envelope.source
    assert envelope.type
    assert envelope.time is None or envelope.time.tzinfo is UTC
    return envelope


def assert_survives(envelope: Envelope) -> None:
    for write in (kafka.write, kafka.write_structured):
        assert without_body(kafka.read(*write(envelope))) == without_body(envelope)


header_names = (
    st.sampled_from(["specversion", "id", "source", "type", "time", "subject", "data", "note", ""])
    .flatmap(lambda name: st.sampled_from([f"ce_{name}", f"CE_{name}", f"ce-{name}", name]))
    .__or__(st.sampled_from(["content-type", "Content-Type"]))
    .__or__(st.text(max_size=8))
)
header_texts = st.sampled_from(
    [
        "1.0",
        "a",
        "/s",
        "2026-01-31T12:00:00Z",
        "application/json",
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
    ]
) | st.text(max_size=10)
bodies = (
    st.none()
    | st.binary(max_size=30)
    | json_values.map(dump_json)
    | st.dictionaries(
        st.sampled_from(["specversion", "id", "source", "type", "time", "data", "note"]),
        header_texts.filter(str.isprintable) | json_values,
        max_size=7,
    ).map(dump_json)
)


@settings(relaxed, max_examples=150)
@given(
    st.lists(
        st.tuples(
            header_names,
            header_texts.map(lambda text: text.encode(errors="replace"))
            | st.none()
            | st.binary(max_size=5),
        ),
        max_size=8,
    ),
    bodies,
    st.none() | st.binary(max_size=5),
)
def test_any_record_is_an_event_or_unreadable(
    headers: list[tuple[str, bytes | None]], value: bytes | None, key: bytes | None
) -> None:
    if (envelope := event_or_unreadable(lambda: kafka.read(headers, value, key))) is not None:
        assert_survives(envelope)


@settings(relaxed, max_examples=150)
@given(st.lists(st.tuples(header_names, header_texts), max_size=8), bodies)
def test_any_http_message_is_an_event_or_unreadable(
    headers: list[tuple[str, str]], body: bytes | None
) -> None:
    if (envelope := event_or_unreadable(lambda: http.read(headers, body or b""))) is not None:
        assert_survives(envelope)


Headers = list[tuple[str, bytes | None]]


SPOILS = ["drop", "twice", "null", "case", "rename", "bytes", "value", "cut", "flip", "tree"]


@st.composite
def spoiled_records(draw: st.DrawFn) -> tuple[Headers, bytes | None, bytes | None]:
    """A good record of either mode with one to three things done to it."""
    write = draw(st.sampled_from([kafka.write, kafka.write_structured]))
    written, value, key = write(draw(envelopes))
    headers: Headers = list(written)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(headers) - 1)) if headers else None
        spoil = draw(st.sampled_from(SPOILS))
        if spoil in {"value", "cut", "flip"}:
            value = _spoil_bytes(draw, value, spoil)
        elif spoil == "tree":
            value = _spoil_tree(draw, value)
        elif place is not None:
            _spoil_header(draw, headers, place, spoil)
    return headers, value, key


def _spoil_bytes(draw: st.DrawFn, data: bytes | None, spoil: str) -> bytes | None:
    if not data:
        return draw(st.sampled_from([None, b"", b"{}"]))
    place = draw(st.integers(0, len(data) - 1))
    if spoil == "cut":
        return data[:place]
    if spoil == "flip":
        flipped = data[place] ^ 1 << draw(st.integers(0, 7))
        return data[:place] + bytes([flipped]) + data[place + 1 :]
    return data[:place] + draw(st.binary(max_size=2)) + data[place + 1 :]


def _spoil_tree(draw: st.DrawFn, data: bytes | None) -> bytes | None:
    """The same JSON with one of its members renamed, removed, replaced, doubled or wrapped."""
    try:
        tree = json.loads(data or b"")
    except ValueError:
        return data
    spoil = draw(st.sampled_from(["wrap", "replace", "remove", "rename", "double"]))
    if not isinstance(tree, dict) or not tree or spoil == "wrap":
        return json.dumps([tree]).encode()
    name = draw(st.sampled_from(sorted(tree)))
    other = draw(st.sampled_from([*sorted(tree), "data_base64", "ID", "", "data"]) | unicode_text)
    if spoil == "double":
        return json.dumps(tree).encode()[:-1] + f",{json.dumps(name)}:1}}".encode()
    kept = tree.pop(name)
    if spoil == "rename":
        tree[other] = kept
    elif spoil == "replace":
        tree[name] = draw(json_values)
    return json.dumps(tree).encode()


def _spoil_header(draw: st.DrawFn, headers: Headers, place: int, spoil: str) -> None:
    name, value = headers[place]
    if spoil == "drop":
        del headers[place]
    elif spoil == "twice":
        headers.append((name, value))
    elif spoil == "null":
        headers[place] = (name, None)
    elif spoil == "rename":
        headers[place] = (draw(header_names), value)
    elif spoil == "case":
        headers[place] = (name.swapcase(), value)
    else:
        headers[place] = (name, _spoil_bytes(draw, value, "flip"))


@settings(relaxed, max_examples=400)
@given(spoiled_records())
def test_a_spoiled_record_is_another_event_or_unreadable(
    record: tuple[Headers, bytes | None, bytes | None],
) -> None:
    if (envelope := event_or_unreadable(lambda: kafka.read(*record))) is not None:
        assert_survives(envelope)


SPOILERS: dict[str, tuple[Callable[[str, bytes | None], Headers], str]] = {
    "drops": (lambda _name, _value: [], "missing_attribute"),
    "nulls": (lambda name, _value: [(name, None)], "bad_attribute"),
    "repeats": (lambda name, value: [(name, value), (name, value)], "duplicate_attribute"),
    "empties": (lambda name, _value: [(name, b"")], "empty_attribute"),
    "garbles": (lambda name, value: [(name, (value or b"") + b"\xff")], "bad_attribute"),
}


@pytest.mark.parametrize("spoiler", SPOILERS)
@pytest.mark.parametrize("name", ["ce_specversion", "ce_id", "ce_source", "ce_type"])
@settings(relaxed, max_examples=20)
@given(envelope=envelopes)
def test_no_event_survives_one_spoiled_required_header(
    spoiler: str, name: str, envelope: Envelope
) -> None:
    spoil, code = SPOILERS[spoiler]
    written, value, key = kafka.write(envelope)
    headers: Headers = []
    for header, text in written:
        headers += spoil(header, text) if header == name else [(header, text)]
    with pytest.raises(Unreadable) as refused:
        kafka.read(headers, value, key)
    assert refused.value.code == code
    assert name.removeprefix("ce_") in refused.value.detail


@relaxed
@given(envelopes, st.data())
def test_a_structured_event_cut_anywhere_is_unreadable(envelope: Envelope, data: Any) -> None:
    headers, value, key = kafka.write_structured(envelope)
    assert value is not None
    end = data.draw(st.integers(0, len(value) - 1))
    with pytest.raises(Unreadable):
        kafka.read(headers, value[:end], key)
