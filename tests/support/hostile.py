"""Records of hostile or careless producers, each with the code and a word of its refusal.

None of them is a CloudEvent that busbar reads, whatever topic it comes on and in whatever order.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from support.records import EVENT, GOOD, REQUIRED, STRUCTURED, Headers, bare, event, having, lacking


@dataclass(frozen=True, slots=True)
class Hostile:
    """A record, and the code and a piece of the detail that it is refused with."""

    headers: Headers = field(repr=False)
    value: bytes | None = field(repr=False)
    code: str
    named: str = ""
    key: bytes | None = field(default=None, repr=False)


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

_BAD_HEADERS: dict[str, tuple[Headers, str, str]] = {
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
    "two content types that differ": (
        having(("ce_datacontenttype", b"text/plain")),
        "bad_attribute",
        "ce_datacontenttype",
    ),
    "two content types that differ in a parameter": (
        having(("ce_datacontenttype", b"application/json; version=2")),
        "bad_attribute",
        "ce_datacontenttype",
    ),
    "a content type among the ce_ headers only": (
        [*lacking("content-type"), ("ce_datacontenttype", b"application/json")],
        "bad_attribute",
        "ce_datacontenttype",
    ),
    "an extension called data": (having(("ce_data", b"1")), "bad_attribute", "data"),
    "an extension without a name": (having(("ce_", b"1")), "bad_attribute", '""'),
    "an extension with a dash": (having(("ce_my-note", b"1")), "bad_attribute", "my-note"),
    "an extension with an underscore": (having(("ce_my_note", b"1")), "bad_attribute", "my_note"),
    "an extension of 101 letters": (having(("ce_" + "n" * 101, b"1")), "bad_attribute", "100"),
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
    "a source outside ASCII": (
        having(("ce_source", "/größe".encode())),
        "bad_attribute",
        '"source"',
    ),
    "a source with half an escape": (having(("ce_source", b"/a%2")), "bad_attribute", '"source"'),
    "a source with a number as scheme": (having(("ce_source", b"1:a")), "bad_attribute", "RFC"),
    "a dataschema without a scheme": (
        having(("ce_dataschema", b"/schemas/v1")),
        "bad_attribute",
        '"dataschema"',
    ),
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
    "a JSON record of another producer": (
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
    "a media type without a subtype": (
        having(("content-type", b"json")),
        "bad_content_type",
        "datacontenttype",
    ),
    "an empty content type": (having(("content-type", b"")), "bad_content_type", "datacontenttype"),
    "JSON in UTF-16": (
        having(("content-type", b"application/json; charset=utf-16")),
        "bad_content_type",
        "charset",
    ),
    "a parameter without a value": (
        having(("content-type", b"application/json; profile")),
        "bad_content_type",
        "datacontenttype",
    ),
    "a charset given twice": (
        having(("content-type", b"application/json; charset=utf-8; charset=utf-8")),
        "bad_content_type",
        "datacontenttype",
    ),
    "JSON lines": (
        having(("content-type", b"application/jsonl")),
        "bad_content_type",
        "datacontenttype",
    ),
}

_BAD_VALUES: dict[str, tuple[bytes | None, str, str]] = {
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
    "data twice, once in Base64": (
        event(data_base64="e30="),
        "duplicate_attribute",
        "data_base64",
    ),
    "data that is not Base64": (bare(data_base64="e30"), "bad_json", "data_base64"),
    "data in Base64 with a line break": (bare(data_base64="e3\n0="), "bad_json", "data_base64"),
    "data_base64 that is not text": (bare(data_base64={}), "bad_json", "data_base64"),
    "data in Base64 that is not JSON": (bare(data_base64="eA=="), "bad_json", "not JSON"),
    "an integer of 33 bits": (event(note=2**31), "bad_attribute", '"note"'),
    "an integer of 33 bits below zero": (event(note=-(2**31) - 1), "bad_attribute", '"note"'),
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
    "an empty value": (b"", "no_data", "body"),
    "a value of a million bytes and one": (b" " * 1_000_001, "too_large", "1000000"),
}

_BAD_DATA: dict[str, tuple[bytes, str, str]] = {
    "no JSON": (b"hello", "bad_json", "line 1"),
    "NaN": (b"NaN", "bad_json", "line 1"),
    "Infinity": (b'{"n":Infinity}', "bad_json", "line 1"),
    "-Infinity": (b"[-Infinity]", "bad_json", "line 1"),
    "a number beyond any float": (b'{"n":1e400}', "bad_json", "line 1"),
    "an integer of 100,000 digits": (b'{"n":' + b"9" * 10**5 + b"}", "bad_json", "line 1"),
    "an integer of 100,000 digits below zero": (b"[-" + b"1" * 10**5 + b"]", "bad_json", ""),
    "an integer of 65 bits": (b'{"n":18446744073709551616}', "bad_json", "64 bits"),
    "a key twice": (b'{"a":1,"a":2}', "duplicate_attribute", '"a"'),
    "a key twice, once escaped": (b'{"a":1,"\\u0061":2}', "duplicate_attribute", '"a"'),
    "a key twice among 90,000": (
        b"{" + b",".join(b'"%d":1' % number for number in range(90_000)) + b',"5":1}',
        "duplicate_attribute",
        '"5"',
    ),
    "a byte order mark": (b"\xef\xbb\xbf{}", "bad_json", "line 1"),
    "UTF-16": ('{"a":1}'.encode("utf-16"), "bad_json", "UTF-8"),
    "a lone surrogate": (b'"\\ud800"', "bad_json", "surrogate"),
    "surrogates the wrong way round": (b'"\\udc00\\ud800"', "bad_json", "surrogate"),
    "bytes that are not UTF-8": (b'{"a":"\xff"}', "bad_json", "byte 6"),
    "two documents": (b"{}{}", "bad_json", "line 1"),
    "65 levels": (b"[" * 65 + b"]" * 65, "bad_json", "64 levels"),
    "100,000 levels": (b"[" * 10**5, "bad_json", "line 1"),
    "100,000 levels, closed": (b'{"a":' * 10**5 + b"1" + b"}" * 10**5, "bad_json", "line 1"),
    "a text of 900 kB without an end": (b'"' + b"\\" * 900_000, "bad_json", "line 1"),
    "900 kB that are not UTF-8 at their end": (
        b'"' + b"x" * 900_000 + b'\xff"',
        "bad_json",
        "900001",
    ),
    "900 kB of brackets": (b"[" + b"[[[]]]," * 128_000 + b"1", "bad_json", "line 1"),
}

_OTHER_VERSIONS = ["0.3", "1", "1.0.2", "1.1", " 1.0", "v1.0"]
_OPTIONAL = ["subject", "time", "dataschema"]


def _in_both_modes(name: str, text: str, code: str, named: str) -> dict[str, Hostile]:
    """A record whose attribute ``name`` is ``text``, in binary and in structured mode."""
    about = f"{name} {text!r}"
    return {
        f"binary, {about}": Hostile(having((f"ce_{name}", text.encode())), b"{}", code, named),
        f"structured, {about}": Hostile(STRUCTURED, event(**{name: text}), code, named),
    }


def _without(name: str) -> dict[str, Hostile]:
    code = "missing_attribute"
    rest = {member: value for member, value in EVENT.items() if member != name}
    return {
        f"binary, no {name}": Hostile(lacking(f"ce_{name}"), b"{}", code, name),
        f"structured, no {name}": Hostile(STRUCTURED, json.dumps(rest).encode(), code, name),
        f"structured, a null {name}": Hostile(STRUCTURED, event(**{name: None}), code, name),
    }


def _merged(tables: Iterable[Mapping[str, Hostile]]) -> dict[str, Hostile]:
    return {name: record for table in tables for name, record in table.items()}


LARGEST = Hostile(
    [*having(("ce_id", b"i" * 10_000)), *[("x", b"1")] * 1_000], b'"' + b"x" * 900_000, ""
)
"""Every part is too large, but it is still a record that a broker takes by default."""

HOSTILE: dict[str, Hostile] = {
    **_merged(_without(name) for name in REQUIRED),
    **_merged(
        _in_both_modes(name, "", "empty_attribute", f'"{name}"') for name in REQUIRED + _OPTIONAL
    ),
    **_merged(
        _in_both_modes("specversion", text, "bad_specversion", '"1.0"') for text in _OTHER_VERSIONS
    ),
    **_merged(_in_both_modes("time", text, "bad_time", why) for text, why in BAD_TIMES.items()),
    **{
        f"headers, {name}": Hostile(headers, event(), code, named)
        for name, (headers, code, named) in _BAD_HEADERS.items()
    },
    **{
        f"structured, {name}": Hostile(STRUCTURED, value, code, named)
        for name, (value, code, named) in _BAD_VALUES.items()
    },
    **{
        f"binary, {name}": Hostile(GOOD, value, code, named)
        for name, (value, code, named) in _BAD_DATA.items()
    },
    "a tombstone of another producer": Hostile([], None, "not_a_cloudevent", "ce_", b"k"),
    "a key of 4097 bytes": Hostile(GOOD, b"{}", "bad_key", "4096", b"k" * 4097),
    "a key of 900 kB": Hostile(GOOD, b"{}", "bad_key", "900000", b"k" * 900_000),
    "400,000 headers of nothing": Hostile([("", None)] * 400_000, b"{}", "too_many_headers"),
    "a header's name of 900 kB": Hostile([("\x01" * 900_000, b"")], b"{}", "not_a_cloudevent"),
    "everything too large": replace(LARGEST, code="too_many_headers", named="1005"),
}
"""Records that are no CloudEvents for busbar."""
