"""A signature covers topic, key, attributes and value; nothing else is accepted under it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from busbar.messages.codec import kafka as codec
from busbar.messages.envelope import Unreadable
from busbar.messages.signing import (
    ATTRIBUTE,
    UNSIGNED,
    BadSignature,
    Signature,
    SigningKey,
    sign,
    signature_of,
    signed_bytes,
    verify,
)
from busbar.messages.signing.signature import _attributes_of

KEY = SigningKey.generate()
OTHER = SigningKey.generate()
HEADER = f"ce_{ATTRIBUTE}"
FREE = sorted(f"ce_{name}" for name in UNSIGNED - {ATTRIBUTE})
Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True)
class Record:
    topic: str
    key: bytes | None
    headers: Headers
    value: bytes | None

    @property
    def parts(self) -> dict[str, Any]:
        return {
            "topic": self.topic,
            "record_key": self.key,
            "headers": self.headers,
            "value": self.value,
        }

    def signed(self, key: SigningKey = KEY) -> "Record":
        return replace(self, headers=(*self.headers, sign(key, **self.parts)))

    def check(self, key: SigningKey = KEY) -> None:
        verify(key.public, signature_of(self.headers), **self.parts)

    def with_header(self, at: int, *headers: tuple[str, bytes | None]) -> "Record":
        """The record with ``headers`` in the place of the one at ``at``."""
        return replace(self, headers=(*self.headers[:at], *headers, *self.headers[at + 1 :]))

    def with_signature(self, text: bytes) -> "Record":
        at = [name for name, _ in self.headers].index(HEADER)
        return self.with_header(at, (HEADER, text))


def refusal(record: Record, key: SigningKey = KEY) -> str:
    with pytest.raises(BadSignature) as refused:
        record.check(key)
    return refused.value.code


def attribute_names() -> st.SearchStrategy[str]:
    names = st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True)
    return names.filter(lambda name: name not in {*UNSIGNED, "specversion", "datacontenttype"})


@st.composite
def records(draw: st.DrawFn) -> Record:
    attributes = draw(st.dictionaries(attribute_names(), st.binary(max_size=12), max_size=5))
    content_type = draw(st.sampled_from([(), (("content-type", b"application/json"),)]))
    headers = [
        ("ce_specversion", b"1.0"),
        *((f"ce_{name}", value) for name, value in attributes.items()),
        *content_type,
    ]
    return Record(
        topic=draw(st.from_regex(r"[a-z.]{1,12}", fullmatch=True)),
        key=draw(st.none() | st.binary(max_size=12)),
        headers=tuple(draw(st.permutations(headers))),
        value=draw(st.none() | st.binary(max_size=12)),
    ).signed()


@given(records())
def test_a_signed_record_is_verified(record: Record) -> None:
    record.check()


@given(records(), st.data())
def test_the_order_of_headers_does_not_count(record: Record, data: st.DataObject) -> None:
    replace(record, headers=tuple(data.draw(st.permutations(record.headers)))).check()


@given(records(), st.data())
def test_headers_that_are_not_signed_may_change(record: Record, data: st.DataObject) -> None:
    names = st.sampled_from([*FREE, "x-request-id", "traceparent", "ce-source", "cE"])
    more = data.draw(st.dictionaries(names, st.binary(max_size=12)))
    place = data.draw(st.integers(0, len(record.headers)))
    headers = (*record.headers[:place], *more.items(), *record.headers[place:])
    replace(record, headers=headers).check()


@given(records())
def test_another_key_does_not_verify(record: Record) -> None:
    assert refusal(record, OTHER) == "forged"


@given(records(), st.text(st.characters(codec="utf-8"), max_size=12))
def test_another_topic_is_forged(record: Record, topic: str) -> None:
    assume(topic != record.topic)
    assert refusal(replace(record, topic=topic)) == "forged"


@given(records(), st.none() | st.binary(max_size=12))
def test_another_key_of_the_record_is_forged(record: Record, key: bytes | None) -> None:
    assume(key != record.key)
    assert refusal(replace(record, key=key)) == "forged"


@given(records(), st.none() | st.binary(max_size=12))
def test_another_value_is_forged(record: Record, value: bytes | None) -> None:
    assume(value != record.value)
    assert refusal(replace(record, value=value)) == "forged"


Mutation = Callable[[st.DataObject, Record, int], Record]


def other_value(data: st.DataObject, record: Record, at: int) -> Record:
    name, old = record.headers[at]
    value = data.draw(st.none() | st.binary(max_size=12))
    assume(value != old)
    return record.with_header(at, (name, value))


def other_name(data: st.DataObject, record: Record, at: int) -> Record:
    old, value = record.headers[at]
    names = attribute_names().map(lambda name: f"ce_{name}") | st.text(max_size=12)
    name = data.draw(st.sampled_from([old.upper(), old[3:], *FREE]) | names)
    assume(name != old)
    return record.with_header(at, (name, value))


def removed(_data: st.DataObject, record: Record, at: int) -> Record:
    return record.with_header(at)


def twice(data: st.DataObject, record: Record, at: int) -> Record:
    header = record.headers[at]
    there = data.draw(st.integers(0, len(record.headers)))
    return replace(record, headers=(*record.headers[:there], header, *record.headers[there:]))


def added(data: st.DataObject, record: Record, at: int) -> Record:
    name = f"ce_{data.draw(attribute_names())}"
    assume(name not in dict(record.headers))
    value = data.draw(st.none() | st.binary(max_size=12))
    return record.with_header(at, record.headers[at], (name, value))


def swapped(data: st.DataObject, record: Record, at: int) -> Record:
    there = data.draw(st.integers(0, len(record.headers) - 1))
    (one, value), (other, old) = record.headers[at], record.headers[there]
    assume(value != old)
    return record.with_header(at, (one, old)).with_header(there, (other, value))


@pytest.mark.parametrize("mutate", [other_value, other_name, removed, twice, added, swapped])
@given(record=records(), data=st.data())
def test_no_header_can_be_changed(mutate: Mutation, record: Record, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(record.headers) - 1))
    assert refusal(mutate(data, record, at)) in {"unsigned", "malformed", "forged"}


@given(records(), st.data())
def test_no_character_of_the_signature_can_be_changed(record: Record, data: st.DataObject) -> None:
    text = dict(record.headers)[HEADER] or b""
    at = data.draw(st.integers(0, len(text)))
    more = data.draw(st.binary(max_size=2) | st.sampled_from([b"A", b"=", b"\n", b"."]))
    changed = text[:at] + more + text[at + data.draw(st.integers(0, 2)) :]
    assume(changed != text)
    assert refusal(record.with_signature(changed)) in {"malformed", "forged"}


@given(records())
def test_a_signature_is_written_as_it_is_read(record: Record) -> None:
    text = dict(record.headers)[HEADER] or b""
    found = Signature.parse(text)
    assert found.text.encode() == text
    assert found.key_id == KEY.public.id
    assert len(found.value) == 64


def code_of(attempt: Callable[[], object]) -> str | None:
    """The code of the refusal, None without one; every other error is raised."""
    try:
        attempt()
    except BadSignature as error:
        said = error.detail
        return error.code if said.isascii() and said.endswith(".") and len(said) < 400 else said
    return None


@given(st.binary(max_size=130) | st.from_regex(rb"v1\.[0-9a-f]{32}\.[A-Za-z0-9_-]{86}"))
def test_a_signature_has_one_text_only(text: bytes) -> None:
    if code_of(lambda: Signature.parse(text)) != "malformed":
        assert Signature.parse(text).text.encode() == text


HOSTILE_NAMES = st.one_of(
    st.text(st.characters(), max_size=12),
    st.text(st.characters(), max_size=12).map(lambda name: f"ce_{name}"),
    st.sampled_from(
        ["ce_specversion", "content-type", "Content-Type", "CE_ID", "ce_id", HEADER, *FREE]
    ),
)
HOSTILE = st.lists(
    st.tuples(
        HOSTILE_NAMES,
        st.none()
        | st.binary(max_size=8)
        | st.sampled_from([Signature("0" * 32, bytes(64)).text.encode()]),
    ),
    max_size=8,
)


@given(HOSTILE, st.none() | st.binary(max_size=8))
def test_no_headers_raise_anything_but_a_refusal(
    headers: list[tuple[str, bytes | None]], value: bytes | None
) -> None:
    record = Record("t", None, tuple(headers), value)
    attempts: list[Callable[[], object]] = [
        record.signed,
        record.check,
        lambda: verify(KEY.public, Signature(KEY.public.id, bytes(64)), **record.parts),
        lambda: signed_bytes(topic="t", key=None, headers=headers, value=value, key_id="x"),
    ]
    assert {code_of(attempt) for attempt in attempts} <= {
        None, "unsigned", "malformed", "forged"
    }  # fmt: skip


STRUCTURED = b'{"specversion":"1.0","id":"other","source":"urn:other","type":"t"}'
READABLE = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("ce_specversion", "ce_id", "ce_source", "ce_type", "content-type", "ce_note"),
                *("ce_datacontenttype", "CE_ID", "Ce_Source", "Content-Type", "ce_n\u00fc"),
                *(HEADER, *FREE, "other"),
            ]
        ),
        st.sampled_from([b"1.0", b"b", b"application/json", b" Application/CloudEvents+JSON"]),
    ),
    max_size=5,
).map(
    lambda more: [
        *(("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"u:x"), ("ce_type", b"t")),
        *more,
    ]
)


@given(READABLE, st.permutations(range(9)))
def test_what_is_signed_is_what_is_read(headers: list[tuple[str, bytes]], order: list[int]) -> None:
    headers = [headers[at] for at in order if at < len(headers)]
    try:
        signed = {name: value.decode() for name, value in _attributes_of(headers).items()}
        event = codec.read(headers, STRUCTURED, None)
    except (BadSignature, Unreadable):
        return
    read = {"id": event.id, "source": event.source, "type": event.type, **event.extensions}
    assert {name: text for name, text in read.items() if name not in UNSIGNED} == {
        name: text
        for name, text in signed.items()
        if name not in {"specversion", "datacontenttype"}
    }


def test_a_record_is_signed_once() -> None:
    record = Record("t", None, (("ce_specversion", b"1.0"),), None).signed()
    with pytest.raises(BadSignature) as refused:
        record.signed(OTHER)
    assert refused.value.code == "malformed"


FORM = Signature("0" * 32, bytes(64)).text.encode()


@pytest.mark.parametrize("found", [[FORM, FORM], [FORM, None], [None], [b"v1"]])
def test_a_record_has_one_signature_with_a_value(found: list[bytes | None]) -> None:
    assert code_of(lambda: signature_of([(HEADER, value) for value in found])) == "malformed"


@pytest.mark.parametrize("name", ["ce_\u00fc", "CE_", "ce_-", "Content-Type", "ce_\udcff\n"])
def test_a_refusal_shows_the_start_of_a_name_on_one_line(name: str) -> None:
    record = Record("t", None, ((name + "x" * 10_000, b"1"), ("Content-Type", b"")), None)
    with pytest.raises(BadSignature) as refused:
        record.signed()
    assert "\n" not in refused.value.detail
    assert refused.value.detail.isascii()
    assert len(refused.value.detail) < 400
