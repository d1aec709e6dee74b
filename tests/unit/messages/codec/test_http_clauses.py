"""The HTTP binding, clause by clause.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

import pytest

from busbar.messages.codec import http
from busbar.messages.envelope import Envelope, Unreadable
from support.records import event
from unit.messages.codec.clauses import Clause, check

MODE, TYPE, DATA, NAME, VALUE = "3", "3.1.1", "3.1.2", "3.1.3.1", "3.1.3.2"
ATTRIBUTES = [
    ("ce-specversion", "1.0"),
    ("ce-id", "a1"),
    ("ce-source", "/shop"),
    ("ce-type", "busbar.resource.apply.v1"),
]
JSON = ("content-type", "application/json")
GOOD = [*ATTRIBUTES, JSON]


def noted(value: str) -> tuple[list[tuple[str, str]], bytes]:
    return [*GOOD, ("ce-note", value)], b"{}"


def structured(kind: str) -> tuple[list[tuple[str, str]], bytes]:
    return [("Content-Type", kind)], event()


def typed(kind: str, body: bytes = b"{}") -> tuple[list[tuple[str, str]], bytes]:
    return [*ATTRIBUTES, ("Content-Type", kind)], body


CLAUSES = [
    Clause(MODE, "structured by its type", structured(http.CONTENT_TYPE), {"id": "a1"}),
    Clause(MODE, "in any case", structured("Application/CLOUDEVENTS+json"), {"id": "a1"}),
    Clause(
        MODE,
        "with parameters",
        structured('application/cloudevents+json;a="b;c"; charset="utf-8"'),
        {"id": "a1"},
    ),
    Clause(
        MODE,
        "another format",
        structured("application/cloudevents+avro"),
        refused="bad_content_type",
        limit="JSON only",
    ),
    Clause(MODE, "no format", structured("application/cloudevents"), refused="bad_content_type"),
    Clause(
        MODE,
        "another charset",
        structured("application/cloudevents+json; charset=utf-16"),
        refused="bad_content_type",
        limit="UTF-8 only",
    ),
    Clause(
        "3.3",
        "batches must be solicited",
        structured("application/cloudevents-batch+json"),
        refused="batch_not_supported",
    ),
    Clause(
        "3.3",
        "batches in any format",
        structured("application/CloudEvents-Batch+avro"),
        refused="batch_not_supported",
    ),
    Clause(MODE, "binary by default", (ATTRIBUTES, b"{}"), {"data": {}}),
    Clause(MODE, "not a CloudEvent", ([JSON], b"{}"), refused="not_a_cloudevent"),
    *(
        Clause(TYPE, f"JSON by its type: {kind}", typed(kind), {"data": {}})
        for kind in (
            "application/json",
            "Application/Json; Charset=UTF-8",
            "text/json",
            "a/b+json;v=1",
            'a/json; charset="us-ascii"',
        )
    ),
    *(
        Clause(
            TYPE,
            f"no JSON by its type: {kind!r}",
            typed(kind),
            refused="bad_content_type",
            limit="JSON only",
        )
        for kind in (
            "text/plain",
            "application/json; charset=latin1",
            "multipart/form-data; boundary=x",
        )
    ),
    *(
        Clause("2.1", f"no media type: {kind!r}", typed(kind, body), refused="bad_content_type")
        for kind in ("json", "application/json; charset", "a/json, b/json")
        for body in (b"{}", b"")
    ),
    Clause(
        TYPE,
        "no ce-datacontenttype",
        ([*GOOD, ("ce-datacontenttype", "application/json")], b"{}"),
        refused="bad_attribute",
    ),
    Clause(
        TYPE,
        "not alone either",
        ([*ATTRIBUTES, ("ce-datacontenttype", "application/json")], b"{}"),
        refused="bad_attribute",
    ),
    Clause(DATA, "the body is the data", (GOOD, b"[1]"), {"data": [1]}),
    Clause(DATA, "an empty body means no data", (GOOD, b""), {"data": None}),
    Clause(NAME, "ce- and the name", ([*GOOD, ("ce-note", "1")], b"{}"), {"note": "1"}),
    Clause(NAME, "in any case", ([*GOOD, ("Ce-Note", "1")], b"{}"), {"note": "1"}),
    Clause(
        NAME,
        "of any length",
        ([*GOOD, ("ce-knativekafkapartition", "3")], b"{}"),
        {"knativekafkapartition": "3"},
    ),
    Clause(
        NAME,
        "only of an attribute's letters",
        ([*GOOD, ("ce-my-note", "1")], b"{}"),
        refused="bad_attribute",
    ),
    Clause(NAME, "distinct", ([*GOOD, ("CE-ID", "a1")], b"{}"), refused="duplicate_attribute"),
    Clause(
        NAME,
        "secondary headers do not count",
        ([*GOOD, ("traceparent", "00-x")], b"{}"),
        {"extensions": {}},
    ),
    Clause(
        VALUE, "percent-decoded", noted("Euro%20%E2%82%AC%20%F0%9F%98%80"), {"note": "Euro € 😀"}
    ),
    Clause(VALUE, "in lower case", noted("%e2%82%ac"), {"note": "€"}),
    Clause(VALUE, "without need", noted("%61b"), {"note": "ab"}),
    Clause(VALUE, "a single round", noted("%2541"), {"note": "%41"}),
    Clause(VALUE, "first unquoted", noted(r'"a \"%20\" b"'), {"note": 'a " " b'}),
    Clause(VALUE, "no overlong UTF-8", noted("%C0%A0"), refused="bad_attribute"),
    Clause(VALUE, "no halves", noted("%"), refused="bad_attribute"),
    Clause(VALUE, "US-ASCII only", noted("größe"), refused="bad_attribute"),
    Clause(VALUE, "white space around it is none of it", noted(" a\t"), {"note": "a"}),
    Clause(VALUE, "not parenthetical comments", noted("(a)"), {"note": "(a)"}),
    Clause(
        VALUE,
        "also of the source",
        ([*GOOD[:2], *GOOD[3:], ("ce-source", "/a%252Fb")], b"{}"),
        {"source": "/a%2Fb"},
    ),
    Clause(
        "3.2.3",
        "structured with the headers of binary",
        ([*ATTRIBUTES, ("content-type", http.CONTENT_TYPE)], event(id="b2")),
        {"id": "b2"},
    ),
]


@pytest.mark.parametrize("clause", CLAUSES, ids=str)
def test_every_clause_holds(clause: Clause) -> None:
    read: Envelope | Unreadable
    try:
        read = http.read(*clause.example)
    except Unreadable as error:
        read = error
    check(clause, read)
