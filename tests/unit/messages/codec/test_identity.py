"""The identity of records that cannot be read, as far as they state one."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar.messages.codec import kafka
from busbar.messages.codec.identity import Identity, identity_of
from busbar.messages.envelope import Unreadable
from support.hostile import HOSTILE, Hostile
from support.records import EVENT, GOOD, STRUCTURED, Headers, event, having, lacking

OWN = Identity("/shop", "a1", "busbar.resource.apply.v1")
IDENTITY_ITSELF = re.compile(
    r"(no|a null) (id|source)$|(id|source) ''$|an? (null )?id (that|of)|a second id|a source of"
    r"|an id given twice|400,000|a header's name|no header|another producer|everything|a newline$"
    r"|(character|DEL)$|noncharacter|a list|a string$|^structured, null|a batch|no value"
    r"|an? empty value|a value of a million"
)
"""The hostile records whose source or id is missing, repeated or not the text of an attribute."""


@pytest.mark.parametrize(
    "record",
    [one for name, one in HOSTILE.items() if not IDENTITY_ITSELF.search(name)],
    ids=[name for name in HOSTILE if not IDENTITY_ITSELF.search(name)],
)
def test_a_hostile_record_with_a_source_and_an_id_has_an_identity(record: Hostile) -> None:
    found = identity_of(record.headers, record.value)
    assert found is not None
    assert found.id == "a1"


STRANGE: dict[str, tuple[Headers, bytes | None, Identity | None]] = {
    "a readable event": (GOOD, b"{}", OWN),
    "a readable structured event": (STRUCTURED, event(), OWN),
    "headers in capitals": ([("CE_ID", b"a1"), ("Ce_Source", b"s")], b"", Identity("s", "a1", "")),
    "no type": (lacking("ce_type"), b"{", OWN._replace(type="")),
    "a type that is not text": (having(("ce_type", b"\xff")), b"{", OWN._replace(type="")),
    "a source that is not a URI": (
        having(("ce_source", b"my shop")),
        b"{}",
        OWN._replace(source="my shop"),
    ),
    "two ids": ([*GOOD, ("ce_id", b"b2")], b"{}", None),
    "the same id twice": ([*GOOD, ("CE_ID", b"a1")], b"{}", None),
    "an empty source": (having(("ce_source", b"")), b"{}", None),
    "a null id": (having(("ce_id", None)), b"{}", None),
    "an id that is not UTF-8": (having(("ce_id", b"\xff")), b"{}", None),
    "an id of several lines": (having(("ce_id", b"a\nb")), b"{}", None),
    "an id of 1025 bytes": (having(("ce_id", b"i" * 1025)), b"{}", OWN._replace(id="i" * 1025)),
    "an id of 4097 bytes": (having(("ce_id", b"i" * 4097)), b"{}", None),
    "a structured event that is cut": (STRUCTURED, event()[:-12], OWN),
    "one that is cut before its source": (STRUCTURED, b'{"id":"a1","sou', None),
    "one after a byte order mark": (STRUCTURED, b"\xef\xbb\xbf " + event(), OWN),
    "one with bytes that are not UTF-8": (STRUCTURED, event()[:-1] + b',"a":"\xff"}', OWN),
    "one whose data nest deeply": (STRUCTURED, event()[:-1] + b',"a":' + b"[" * 10**5, OWN),
    "one with a wide number": (STRUCTURED, event()[:-1] + b',"a":' + b"9" * 10**5 + b"}", OWN),
    "one that begins with a wide number": (
        STRUCTURED,
        b'{"data":{"n":' + b"9" * 5000 + b"}," + event()[1:],
        OWN,
    ),
    "one that begins with deep data": (
        STRUCTURED,
        b'{"data":' + b'[{"]":' * 2000 + b'"[{"' + b"}]" * 2000 + b"," + event()[1:],
        OWN,
    ),
    "one that begins with a word": (STRUCTURED, b'{"data":nothing,' + event()[1:], None),
    "one that begins with data without an end": (STRUCTURED, b'{"data":[[1],' + event()[1:], None),
    "one whose number is an id": (STRUCTURED, event(id=1), None),
    "one with two ids": (STRUCTURED, b'{"id":"b2",' + event()[1:], None),
    "one with a lone surrogate": (STRUCTURED, event(id="\ud800"), None),
    "one in another format with headers": (
        having(("content-type", b"application/cloudevents+avro")),
        b"\x00",
        OWN,
    ),
    "a batch": ([("content-type", b"application/cloudevents-batch+json")], b"[]", None),
    "the body before the headers": (
        [*STRUCTURED, *GOOD[:-1]],
        event(id="b2"),
        OWN._replace(id="b2"),
    ),
    "no value": (STRUCTURED, None, None),
    "nothing": ([], None, None),
}


@pytest.mark.parametrize("name", STRANGE)
def test_an_identity_is_read_if_it_is_the_only_one(name: str) -> None:
    headers, value, expected = STRANGE[name]
    assert identity_of(headers, value) == expected


names = st.sampled_from(["ce_id", "ce_source", "ce_type", "CE_ID", "content-type", "x", "ce_time"])
texts = st.sampled_from([b"a1", b"", b"\xff", b"application/cloudevents+json", b"now", None])
values = st.none() | st.binary(max_size=40) | st.integers(0, 120).map(lambda end: event()[:end])


@settings(deadline=None)
@given(st.lists(st.tuples(names, texts), max_size=8), values)
def test_any_record_has_an_identity_or_none_and_the_codec_agrees(
    headers: Headers, value: bytes | None
) -> None:
    found = identity_of(headers, value)
    try:
        read = kafka.read(headers, value, None)
    except Unreadable:
        return
    assert found == Identity(read.source, read.id, read.type)


@settings(deadline=None)
@given(st.integers(0, len(json.dumps(EVENT))), st.binary(max_size=3))
def test_a_structured_event_that_is_cut_never_has_another_identity(
    end: int, garbage: bytes
) -> None:
    # With a quotation mark a text that was cut would end: that is another event.
    found = identity_of(STRUCTURED, event()[:end] + garbage.replace(b'"', b""))
    assert found is None or found._replace(type=OWN.type) == OWN
