"""The specification itself, clause by clause, in both modes.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
"""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from busbar.messages.codec import kafka
from busbar.messages.envelope import Envelope, Unreadable
from support.records import GOOD, STRUCTURED, event, having
from unit.messages.codec.clauses import Clause, check

NAMES, TYPES, SOURCE = "Naming Conventions", "Type System", "source"
IDS, TIME, SCHEMA, SIZE = "id", "time", "dataschema", "Size Limits"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)

CLAUSES = [
    Clause(NAMES, "of a to z and 0 to 9", {"a1z": "x"}, {"a1z": "x"}),
    Clause(NAMES, "may start with a digit", {"1a": "x"}, {"1a": "x"}),
    Clause(NAMES, "should not exceed 20", {"n" * 20: "x"}, {"n" * 20: "x"}),
    Clause(
        NAMES,
        "exceed 20 all the same",
        {"knativekafkapartition": "3"},
        {"knativekafkapartition": "3"},
    ),
    Clause(NAMES, "as long as sense allows", {"n" * 100: "x"}, {"n" * 100: "x"}),
    Clause(NAMES, "any length", {"n" * 101: "x"}, refused="bad_attribute", limit="100 letters"),
    Clause(NAMES, "no hyphen", {"my-note": "x"}, refused="bad_attribute"),
    Clause(NAMES, "no underscore", {"my_note": "x"}, refused="bad_attribute"),
    Clause(NAMES, "nothing outside ASCII", {"größe": "x"}, refused="bad_attribute"),
    Clause(TYPES, "a string may be empty in an extension", {"note": ""}, {"note": ""}),
    Clause(TYPES, "any Unicode in strings", {"note": "ü€😀"}, {"note": "ü€😀"}),
    Clause(TYPES, "no control characters", {"note": "a\x1b"}, refused="bad_attribute"),
    Clause(TYPES, "no C1 control characters", {"note": "a\x9f"}, refused="bad_attribute"),
    Clause(TYPES, "no noncharacters", {"note": "a\ufdd0"}, refused="bad_attribute"),
    Clause(TYPES, "an integer as its string", {"note": "-2147483648"}, {"note": "-2147483648"}),
    Clause(TYPES, "a boolean as its string", {"note": "true"}, {"note": "true"}),
    Clause(TYPES, "binary as Base64", {"note": "3q2+7w=="}, {"note": "3q2+7w=="}),
    Clause(TYPES, "a URI as its string", {"note": "urn:x"}, {"note": "urn:x"}),
    Clause(
        TYPES,
        "a timestamp as its string",
        {"note": "2026-01-31T12:00:00Z"},
        {"note": "2026-01-31T12:00:00Z"},
    ),
    Clause(IDS, "is not empty", {"id": ""}, refused="empty_attribute"),
    Clause(IDS, "is any other string", {"id": "1 2 ü"}, {"id": "1 2 ü"}),
    Clause(SOURCE, "is not empty", {"source": ""}, refused="empty_attribute"),
    *(
        Clause(SOURCE, f"is a URI reference: {uri}", {"source": uri}, {"source": uri})
        for uri in (
            "https://github.com/cloudevents",
            "mailto:cncf-wg-serverless@lists.cncf.io",
            "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
            "/cloudevents/spec/pull/123",
            "/sensors/tn-1234567/alerts",
            "1-555-123-4567",
            "//host:9092/path?q#f",
            "http://[2001:db8::7]:80/",
            "tag:example.com,2026:a",
            "../a;b=1/%C3%BC?x=/?#y?",
            "?a",
            "#a",
            "a@b",
            "x:",
        )
    ),
    *(
        Clause(SOURCE, f"is nothing else: {text!r}", {"source": text}, refused="bad_attribute")
        for text in (
            "a b",
            "/größe",
            "a%2",
            "%zz",
            "1:a",
            "a^b",
            "a|b",
            "<a>",
            "a\\b",
            '"a"',
            "a#b#c",
        )
    ),
    Clause("specversion", "is 1.0", {"specversion": "1.1"}, refused="bad_specversion"),
    Clause(
        "specversion", "has no patch version", {"specversion": "1.0.2"}, refused="bad_specversion"
    ),
    Clause("type", "is not empty", {"type": ""}, refused="empty_attribute"),
    Clause("type", "is any other string", {"type": "größer als"}, {"type": "größer als"}),
    Clause("subject", "is not empty", {"subject": ""}, refused="empty_attribute"),
    Clause("subject", "is any other string", {"subject": "a b/ü"}, {"subject": "a b/ü"}),
    Clause(SCHEMA, "is not empty", {"dataschema": ""}, refused="empty_attribute"),
    Clause(
        SCHEMA, "is a URI", {"dataschema": "https://a.b/c#d"}, {"dataschema": "https://a.b/c#d"}
    ),
    Clause(SCHEMA, "is not relative", {"dataschema": "/c"}, refused="bad_attribute"),
    Clause(TIME, "is RFC 3339", {"time": "2026-01-31T12:00:00Z"}, {"time": NOON}),
    Clause(TIME, "in any case", {"time": "2026-01-31t12:00:00z"}, {"time": NOON}),
    Clause(TIME, "with an offset", {"time": "2026-01-31T13:00:00+01:00"}, {"time": NOON}),
    Clause(TIME, "with an unknown offset", {"time": "2026-01-31T12:00:00-00:00"}, {"time": NOON}),
    Clause(TIME, "with a fraction", {"time": "2026-01-31T12:00:00.000000999Z"}, {"time": NOON}),
    Clause(
        TIME,
        "with a leap second",
        {"time": "1990-12-31T15:59:60-08:00"},
        {"time": datetime(1991, 1, 1, tzinfo=UTC)},
    ),
    Clause(
        TIME,
        "with part of one",
        {"time": "2016-12-31T23:59:60.5Z"},
        {"time": datetime(2017, 1, 1, 0, 0, 0, 500_000, UTC)},
    ),
    Clause(
        TIME, "not with a leap second at noon", {"time": "2026-01-31T12:00:60Z"}, refused="bad_time"
    ),
    Clause(TIME, "not with second 61", {"time": "2016-12-31T23:59:61Z"}, refused="bad_time"),
    Clause(TIME, "not without an offset", {"time": "2026-01-31T12:00:00"}, refused="bad_time"),
    Clause(TIME, "not ISO 8601 in general", {"time": "2026-W05-6T12:00:00Z"}, refused="bad_time"),
    Clause(TIME, "not a date", {"time": "2026-01-31"}, refused="bad_time"),
    Clause(TIME, "not a day that is none", {"time": "2026-02-30T12:00:00Z"}, refused="bad_time"),
    Clause(
        TIME, "in the year 0", {"time": "0000-01-01T00:00:00Z"}, refused="bad_time", limit="Python"
    ),
    Clause(
        SIZE, "64 KiB are accepted", {f"n{n}": "x" * 4000 for n in range(15)}, {"n14": "x" * 4000}
    ),
]


def read(headers: Any, value: bytes) -> Envelope | Unreadable:
    try:
        return kafka.read(headers, value, None)
    except Unreadable as error:
        return error


@pytest.mark.parametrize("clause", CLAUSES, ids=str)
def test_every_clause_holds_in_binary_mode(clause: Clause) -> None:
    headers = having(*((f"ce_{name}", text.encode()) for name, text in clause.example.items()))
    check(clause, read(headers, b"{}"))


@pytest.mark.parametrize("clause", CLAUSES, ids=str)
def test_every_clause_holds_in_structured_mode(clause: Clause) -> None:
    check(clause, read(STRUCTURED, event(**clause.example)))


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
def test_a_required_attribute_is_present(name: str) -> None:
    clause = Clause(name, "is required", None, refused="missing_attribute")
    check(clause, read([pair for pair in GOOD if pair[0] != f"ce_{name}"], b"{}"))
    rest = {member: value for member, value in json.loads(event()).items() if member != name}
    check(clause, read(STRUCTURED, json.dumps(rest).encode()))


@pytest.mark.parametrize("name", ["subject", "time", "dataschema", "datacontenttype"])
def test_every_other_attribute_may_be_absent(name: str) -> None:
    assert name not in json.loads(event())
    assert isinstance(read(STRUCTURED, event()), Envelope)


def test_an_attribute_appears_once() -> None:
    clause = Clause("Context Attributes", "at most once", None, refused="duplicate_attribute")
    check(clause, read([*GOOD, ("ce_id", b"a1")], b"{}"))
    check(clause, read(STRUCTURED, event()[:-1] + b',"id":"a1"}'))


def test_no_attribute_is_called_data() -> None:
    clause = Clause(NAMES, "data is reserved", None, refused="bad_attribute")
    check(clause, read([*GOOD, ("ce_data", b"a1")], b"{}"))


@pytest.mark.parametrize("content_type", ["text/xml", "application/json", "a/b; c=d"])
def test_a_content_type_may_come_without_data(content_type: str) -> None:
    clause = Clause("datacontenttype", "without data", None, {"data": None})
    headers = having(("content-type", content_type.encode()))
    try:
        check(clause, kafka.read(headers, None, None))
    except Unreadable as error:
        pytest.fail(str(error))
