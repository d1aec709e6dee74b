"""The Kafka binding, clause by clause.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

import pytest

from busbar.messages.codec import kafka
from busbar.messages.envelope import Envelope, Unreadable
from support.records import GOOD, STRUCTURED, event, having, lacking
from unit.messages.codec.clauses import Clause, check

MODE, KEY, TYPE, DATA, META, MORE = "3", "3.1", "3.2.1", "3.2.2", "3.2.3", "3.3.3"
DATA_TYPE = "ce_datacontenttype"


def typed(*kinds: str) -> list[tuple[str, bytes | None]]:
    """The good headers with a content-type and, if there is a second kind, ce_datacontenttype."""
    names = ("content-type", DATA_TYPE)
    return having(*((name, kind.encode()) for name, kind in zip(names, kinds, strict=False)))


CLAUSES = [
    Clause(MODE, "structured by its content-type", (STRUCTURED, event(), None), {"id": "a1"}),
    *(
        Clause(
            MODE,
            f"structured: {kind}",
            ([("Content-Type", kind.encode())], event(), None),
            {"id": "a1"},
        )
        for kind in (
            "application/cloudevents+json",
            "application/CloudEvents+JSON;charset=utf-8",
            'application/cloudevents+json ; charset="UTF-8"; profile=x',
        )
    ),
    *(
        Clause(
            MODE,
            f"another format: {kind}",
            (typed(kind), event(), None),
            refused="bad_content_type",
            limit="JSON only",
        )
        for kind in (
            "application/cloudevents",
            "application/cloudevents+avro",
            "application/cloudevents+json; charset=utf-16",
        )
    ),
    Clause(
        "1.3",
        "no batches",
        (typed("application/cloudevents-batch+json"), b"[]", None),
        refused="batch_not_supported",
    ),
    Clause(MODE, "binary by default", (lacking("content-type"), b"{}", None), {"data": {}}),
    Clause(
        MODE,
        "not a CloudEvent",
        ([("content-type", b"application/json")], b"{}", None),
        refused="not_a_cloudevent",
    ),
    Clause(KEY, "no key", (GOOD, b"{}", None), {"key": None}),
    Clause(KEY, "the key as it is", (GOOD, b"{}", "schlüssel".encode()), {"key": "schlüssel"}),
    Clause(KEY, "an empty key", (GOOD, b"{}", b""), {"key": ""}),
    Clause(KEY, "bytes that are no text", (GOOD, b"{}", b"\x00\x01\xff"), {"id": "a1"}),
    Clause(KEY, "adds no attribute", (GOOD, b"{}", b"k"), {"extensions": {}}),
    Clause(
        KEY,
        "leaves partitionkey",
        (having(("ce_partitionkey", b"p")), b"{}", b"k"),
        {"partitionkey": "p", "key": "k"},
    ),
    *(
        Clause(TYPE, f"JSON by its type: {kind}", (typed(kind), b"{}", None), {"data": {}})
        for kind in (
            "application/json",
            "application/json; charset=utf-8",
            "TEXT/JSON",
            "a/b+json",
            'a/json;charset="US-ASCII";v=2',
        )
    ),
    *(
        Clause(
            TYPE,
            f"no JSON by its type: {kind!r}",
            (typed(kind), b"{}", None),
            refused="bad_content_type",
            limit="JSON only",
        )
        for kind in (
            "text/plain",
            "application/octet-stream",
            "application/json; charset=iso-8859-1",
        )
    ),
    *(
        Clause(
            TYPE, f"no media type: {kind!r}", (typed(kind), value, None), refused="bad_content_type"
        )
        for kind in ("json", "", "application/json;charset")
        for value in (b"{}", None)
    ),
    Clause(DATA, "the value is the data", (GOOD, b'{"a":[1]}', None), {"data": {"a": [1]}}),
    Clause(DATA, "no value means no data", (GOOD, None, b"k"), {"data": None, "key": "k"}),
    Clause(DATA, "no bytes are no data", (GOOD, b"", None), {"data": None}),
    Clause(DATA, "is what it is declared as", (GOOD, b"{", None), refused="bad_json"),
    Clause(
        META,
        "every attribute has a header",
        (having(("ce_n", "ü".encode())), b"{}", None),
        {"n": "ü"},
    ),
    Clause(
        META, "values are UTF-8", (having(("ce_n", b"\xff")), b"{}", None), refused="bad_attribute"
    ),
    Clause(
        META, "values are not null", (having(("ce_n", None)), b"{}", None), refused="bad_attribute"
    ),
    Clause(
        META, "names are UTF-8", ([*GOOD, ("ce_\udcff", b"")], b"{}", None), refused="bad_attribute"
    ),
    Clause(
        META,
        "values are not escaped",
        (having(("ce_n", b'%41 "q"')), b"{}", None),
        {"n": '%41 "q"'},
    ),
    Clause(
        META,
        "one header each",
        ([*GOOD, ("ce_id", b"a1")], b"{}", None),
        refused="duplicate_attribute",
    ),
    Clause(
        META,
        "one content-type",
        ([*GOOD, ("content-type", b"a/json")], b"{}", None),
        refused="duplicate_attribute",
    ),
    Clause(
        META,
        "other headers are not attributes",
        ([*GOOD, ("cee", None), ("ce", b"\xff"), ("x", b"1")], b"{}", None),
        {"extensions": {}},
    ),
    *(
        Clause(
            META,
            f"datacontenttype has one as well: {kinds}",
            (typed(*kinds), b"{}", None),
            {"data": {}, "extensions": {}},
        )
        for kinds in (
            ("application/json", "application/json"),
            ("application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'),
            ("a/b+json; x=1; y=2", "a/b+json; y=2; x=1"),
        )
    ),
    *(
        Clause(
            META,
            f"which says the same: {kinds}",
            (typed(*kinds), b"{}", None),
            refused="bad_attribute",
        )
        for kinds in (
            ("application/json", "text/plain"),
            ("application/json", "application/json; charset=utf-8"),
            ("a/json; x=1", "a/json; x=A"),
            ("application/json", "nonsense"),
            ("application/json", ""),
        )
    ),
    Clause(
        META, "and agrees without data", (typed("text/xml", "text/xml"), None, None), {"data": None}
    ),
    Clause(
        META,
        "or differs without data",
        (typed("text/xml", "text/html"), None, None),
        refused="bad_attribute",
    ),
    Clause(
        META,
        "and is not alone",
        ([*lacking("content-type"), (DATA_TYPE, b"application/json")], b"{}", None),
        refused="bad_attribute",
    ),
    Clause(
        META,
        "and comes once",
        ([*typed("a/json", "a/json"), (DATA_TYPE, b"a/json")], b"{}", None),
        refused="duplicate_attribute",
    ),
    Clause(
        MORE,
        "structured with the headers of binary",
        ([*STRUCTURED, *GOOD[:-1]], event(id="b2"), None),
        {"id": "b2"},
    ),
    Clause(MORE, "structured without a value", (STRUCTURED, None, None), refused="no_data"),
]


@pytest.mark.parametrize("clause", CLAUSES, ids=str)
def test_every_clause_holds(clause: Clause) -> None:
    read: Envelope | Unreadable
    try:
        read = kafka.read(*clause.example)
    except Unreadable as error:
        read = error
    check(clause, read)
