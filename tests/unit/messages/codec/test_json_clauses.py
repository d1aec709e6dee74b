"""The JSON format, clause by clause.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

import base64
import json
from typing import Any

import pytest

from busbar.messages.codec import http, kafka
from busbar.messages.envelope import Unreadable
from support.records import STRUCTURED, bare, event
from unit.messages.codec.clauses import Clause, check

TYPES, TEXT, READ = "2.2", "3.1.1", "3.1.2"
BYTES = base64.b64encode(b'{"n": 1}').decode()
ANY_JSON: list[Any] = [None, True, 0, -1.5, 2**64 - 1, "", "{}", [], [None], {}]

CLAUSES = [
    Clause(TYPES, "true is a boolean", bare(note=True), {"note": "true"}),
    Clause(TYPES, "false is a boolean", bare(note=False), {"note": "false"}),
    Clause(TYPES, "a number is an integer", bare(note=-7), {"note": "-7"}),
    Clause(TYPES, "the greatest integer", bare(note=2**31 - 1), {"note": "2147483647"}),
    Clause(TYPES, "the least integer", bare(note=-(2**31)), {"note": "-2147483648"}),
    Clause(TYPES, "no integer above", bare(note=2**31), refused="bad_attribute"),
    Clause(TYPES, "no integer below", bare(note=-(2**31) - 1), refused="bad_attribute"),
    Clause(TYPES, "no integer of 64 bits", bare(note=2**63), refused="bad_attribute"),
    Clause(TYPES, "no integer beyond", bare(note=2**70), refused="bad_json"),
    Clause(TYPES, "no fraction", bare(note=1.5), refused="bad_attribute"),
    Clause(TYPES, "no fraction of zeros", bare(note=1.0), refused="bad_attribute"),
    Clause(TYPES, "no exponent", bare()[:-1] + b',"note":1e2}', refused="bad_attribute"),
    Clause(TYPES, "a string", bare(note="ü"), {"note": "ü"}),
    Clause(TYPES, "Base64 is a string", bare(note="3q2+7w=="), {"note": "3q2+7w=="}),
    Clause(TYPES, "null is unset", bare(subject=None, time=None, note=None), {"subject": None}),
    Clause(
        TYPES, "null is unset: datacontenttype", event(datacontenttype=None), {"data": {"n": 1}}
    ),
    Clause(TYPES, "null is unset: required", bare(id=None), refused="missing_attribute"),
    Clause(TYPES, "no object", bare(note={}), refused="bad_attribute"),
    Clause(TYPES, "no array", bare(note=[]), refused="bad_attribute"),
    Clause(TYPES, "id is a string", bare(id=1), refused="bad_attribute"),
    Clause(TYPES, "time is a string", bare(time=1), refused="bad_attribute"),
    Clause(TYPES, "names are in lower case", bare(Note="1"), refused="bad_attribute"),
    Clause("3", "an event is an object", b"[]", refused="bad_json"),
    Clause("3", "an event is one object", event() * 2, refused="bad_json"),
    Clause("3", "every name once", b'{"id":"1",' + event()[1:], refused="duplicate_attribute"),
    *(
        Clause(TEXT, f"JSON by its type: {kind}", event(datacontenttype=kind), {"data": {"n": 1}})
        for kind in (
            "application/json",
            "APPLICATION/JSON",
            "text/json",
            "application/vnd.x+json",
            "application/cloudevents+json",
            "a/b.c-d+JSON",
            "application/json; charset=utf-8",
            "application/json;charset=UTF-8",
            'application/json ; charset="utf-8"',
            'application/json; profile="a; b=\\"c\\""; v=1',
            "application/json; charset=utf-16",  # of bytes, which a member does not have
            "application/json;",
        )
    ),
    *(
        Clause(
            TEXT,
            f"no JSON by its type: {kind!r}",
            event(datacontenttype=kind),
            refused="bad_content_type",
            limit="JSON only",
        )
        for kind in (
            "text/xml",
            "text/plain; charset=utf-8",
            "application/jsonl",
            "application/json+x",
            "a/bjson",
        )
    ),
    *(
        Clause(
            "datacontenttype",
            f"not RFC 2046: {kind!r}",
            event(datacontenttype=kind),
            refused="bad_content_type",
        )
        for kind in (
            "json",
            "application/",
            "/json",
            "application/json; charset",
            "application/json utf-8",
            "application/json; a=b; A=c",
            'application/json; a="b',
            "application/json, text/json",
        )
    ),
    Clause(
        "datacontenttype",
        "not RFC 2046, no data",
        bare(datacontenttype="json"),
        refused="bad_content_type",
    ),
    Clause(
        "datacontenttype", "another type, no data", bare(datacontenttype="text/xml"), {"data": None}
    ),
    Clause(
        "datacontenttype", "is not empty", event(datacontenttype=""), refused="bad_content_type"
    ),
    Clause(TEXT, "without a type it is JSON", event(), {"data": {"n": 1}}),
    *(
        Clause(TEXT, f"data may be any JSON: {json.dumps(data)}", event(data=data), {"data": data})
        for data in ANY_JSON
    ),
    Clause(READ, "a string is not parsed again", event(data='{"n":1}'), {"data": '{"n":1}'}),
    Clause(READ, "data_base64 is decoded", bare(data_base64=BYTES), {"data": {"n": 1}}),
    Clause(
        READ,
        "data_base64 of a type",
        bare(data_base64=BYTES, datacontenttype="a/b+json"),
        {"data": {"n": 1}},
    ),
    Clause(
        READ,
        "data_base64 of no JSON",
        bare(data_base64=BYTES, datacontenttype="a/b"),
        refused="bad_content_type",
        limit="JSON only",
    ),
    Clause(
        READ,
        "data_base64 in UTF-16",
        bare(data_base64=BYTES, datacontenttype="a/json; charset=utf-16"),
        refused="bad_content_type",
        limit="UTF-8 only",
    ),
    Clause(READ, "data_base64 is Base64", bare(data_base64="e30"), refused="bad_json"),
    Clause(READ, "data_base64 is text", bare(data_base64=1), refused="bad_json"),
    Clause(READ, "data_base64 outside ASCII", bare(data_base64="é30="), refused="bad_json"),
    Clause(
        TEXT,
        "data and data_base64 exclude each other",
        event(data_base64=BYTES),
        refused="duplicate_attribute",
    ),
    Clause(
        TEXT,
        "also if data is null",
        event(data=None, data_base64=BYTES),
        refused="duplicate_attribute",
    ),
]


@pytest.mark.parametrize("clause", CLAUSES, ids=str)
def test_every_clause_holds_over_kafka_and_http(clause: Clause) -> None:
    try:
        check(clause, kafka.read(STRUCTURED, clause.example, None))
        check(clause, http.read([("Content-Type", http.CONTENT_TYPE)], clause.example))
    except Unreadable as error:
        check(clause, error)
        with pytest.raises(Unreadable) as refused:
            http.read([("Content-Type", http.CONTENT_TYPE)], clause.example)
        check(clause, refused.value)
