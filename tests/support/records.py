"""Kafka records to begin with: a good event in either mode, and ways to change one thing of it."""

import json
from typing import Any

Headers = list[tuple[str, bytes | None]]

REQUIRED = ["specversion", "id", "source", "type"]
GOOD: Headers = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"a1"),
    ("ce_source", b"/shop"),
    ("ce_type", b"busbar.resource.apply.v1"),
    ("content-type", b"application/json"),
]
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "a1",
    "source": "/shop",
    "type": "busbar.resource.apply.v1",
    "data": {"n": 1},
}
STRUCTURED: Headers = [("content-type", b"application/cloudevents+json; charset=UTF-8")]


def having(*headers: tuple[str, bytes | None]) -> Headers:
    """The good headers, with these instead of or beside them."""
    names = {name for name, _ in headers}
    return [pair for pair in GOOD if pair[0] not in names] + list(headers)


def lacking(name: str) -> Headers:
    """The good headers without the one called ``name``."""
    return [pair for pair in GOOD if pair[0] != name]


def event(**members: Any) -> bytes:
    """A structured event with these members instead of or beside the good ones."""
    return json.dumps(EVENT | members).encode()


def bare(**members: Any) -> bytes:
    """A structured event without data, but with these members."""
    return json.dumps({name: EVENT[name] for name in REQUIRED} | members).encode()


def event_without(name: str) -> bytes:
    """A structured event without the member ``name``."""
    return json.dumps({member: value for member, value in EVENT.items() if member != name}).encode()
