"""The records of the vectors whose signatures fit."""

import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from tools.contracts.signing.record import SECOND, Record, signed

PLAIN: Final = Record(
    topic="busbar.intents.resource",
    key=b"payments/dev/event-stream/orders",
    headers=(
        ("ce_specversion", b"1.0"),
        ("ce_id", b"orders-1"),
        ("ce_source", b"urn:team:payments"),
        ("ce_type", b"busbar.resource.apply.v1"),
        ("ce_subject", b"payments/dev/event-stream/orders"),
        ("ce_time", b"2026-01-31T12:00:00.123456Z"),
        ("content-type", b"application/json"),
    ),
    value=b'{"team":"payments","environment":"dev","promise":"event-stream","name":"orders",'
    b'"spec":{"partitions":6}}',
)
SIGNED: Final = signed(PLAIN)

_GREETING: Final = "ce_greeting"
COMPOSED, DECOMPOSED = (
    PLAIN.having(_GREETING, unicodedata.normalize(form, "gr\u00fc\u00df dich").encode())
    for form in ("NFC", "NFD")
)
AB_C: Final = PLAIN.adding(("ce_x", b"ab"), ("ce_y", b"c"))
A_BC: Final = PLAIN.adding(("ce_x", b"a"), ("ce_y", b"bc"))
NAME_AB: Final = PLAIN.adding(("ce_ab", b"c"))
NAME_A: Final = PLAIN.adding(("ce_a", b"bc"))
TOPIC_AB: Final = replace(PLAIN, topic="ab", key=b"c")
TOPIC_A: Final = replace(PLAIN, topic="a", key=b"bc")
NO_KEY: Final = replace(PLAIN, key=None)
EMPTY_KEY: Final = replace(PLAIN, key=b"")
NO_VALUE: Final = replace(PLAIN, value=None)
EMPTY_VALUE: Final = replace(PLAIN, value=b"")
NO_SUBJECT: Final = PLAIN.lacking("ce_subject")
EMPTY_SUBJECT: Final = PLAIN.having("ce_subject", b"")

_TRACE: Final = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACED: Final = SIGNED.adding(
    ("ce_sequence", b"00000000000000000001"),
    ("ce_traceparent", _TRACE),
    ("ce_tracestate", b"busbar=1"),
)


def accepted() -> Mapping[str, Record]:
    """Return each record by its name."""
    to_sign = {
        "an intent": PLAIN,
        "without a subject": NO_SUBJECT,
        "with an empty subject": EMPTY_SUBJECT,
        "without a key": NO_KEY,
        "with an empty key": EMPTY_KEY,
        "without a value (a tombstone)": NO_VALUE,
        "with an empty value": EMPTY_VALUE,
        "with a value that is not UTF-8": replace(PLAIN, value=bytes(range(256))),
        "with an attribute in NFC": COMPOSED,
        "with an attribute in NFD": DECOMPOSED,
        "with an attribute that is not UTF-8": PLAIN.having(_GREETING, b"gr\xfc\xdf dich"),
        "attributes ab and c": AB_C,
        "attributes a and bc": A_BC,
        "an attribute ab with c": NAME_AB,
        "an attribute a with bc": NAME_A,
        "topic ab and key c": TOPIC_AB,
        "topic a and key bc": TOPIC_A,
        "with 64 attributes": PLAIN.adding(
            *((f"ce_x{number}", b"%d" % number) for number in range(64 - len(PLAIN.headers)))
        ),
        "without content-type": PLAIN.lacking("content-type"),
        "signed with unsigned attributes": PLAIN.adding(
            ("ce_sequence", b"00000000000000000007"), ("ce_traceparent", _TRACE)
        ),
    }
    return {
        **{name: signed(record) for name, record in to_sign.items()},
        "by another key": signed(PLAIN, SECOND),
        "headers in another order": replace(SIGNED, headers=SIGNED.headers[::-1]),
        "unsigned attributes added later": TRACED,
        "unsigned attributes changed later": TRACED.having("ce_sequence", b"2").having(
            "ce_traceparent", b""
        ),
        "headers that are no attributes added later": SIGNED.adding(
            ("x-request-id", b"1"), ("X-Request-Id", None), ("ce-source", b"urn:team:search")
        ),
    }
