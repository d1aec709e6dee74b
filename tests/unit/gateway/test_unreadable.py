"""Requests that hold no event: refused with a code, a reason and a fix, and never stored."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from busbar.messages.catalogue import INTENT_TYPES
from busbar.messages.codec.kafka import MAX_BYTES
from busbar.runtime.store import Store
from unit.gateway.conftest import STRUCTURED, Api, event

GOOD = json.dumps(event()).encode()
JSON = {"content-type": "application/json"}
CE = {
    "ce-specversion": "1.0",
    "ce-id": "1",
    "ce-source": "urn:x",
    "ce-type": min(INTENT_TYPES),
}


def without(name: str) -> bytes:
    return json.dumps({key: value for key, value in event().items() if key != name}).encode()


def with_(**attributes: Any) -> bytes:
    return json.dumps(event(**attributes)).encode()


@dataclass(frozen=True)
class Case:
    """A request, and the code, a piece of the detail and a piece of the fix that answer it."""

    code: str
    detail: str
    fix: str
    body: bytes = GOOD
    headers: Mapping[str, str] = field(default_factory=lambda: STRUCTURED)


CASES = {
    "no id": Case("missing_attribute", "lacks id", "new id", without("id")),
    "no source": Case("missing_attribute", "lacks source", "add what", without("source")),
    "no type": Case("missing_attribute", "lacks type", "add what", without("type")),
    "no ids": Case("missing_attribute", "lacks specversion, id", "add what", b'{"type":"x"}'),
    "empty id": Case("empty_attribute", '"id" is empty', "value", with_(id="")),
    "id is a number": Case("bad_attribute", '"id" must be text', "fix what is named", with_(id=1)),
    "long id": Case("bad_attribute", "longer than 1024", "fix what is named", with_(id="x" * 1025)),
    "bad extension": Case("bad_attribute", '"Bad_Name"', "a-z", with_(Bad_Name="x")),
    "bad time": Case("bad_time", "RFC 3339", "2026-01-31T12:00:00Z", with_(time="yesterday")),
    "no offset": Case("bad_time", "offset", "Z", with_(time="2026-01-31T12:00:00")),
    "no such day": Case("bad_time", "calendar", "Z", with_(time="2026-02-30T12:00:00Z")),
    "old version": Case("bad_specversion", '"1.0"', "1.0", with_(specversion="0.3")),
    "not JSON": Case("bad_json", "line 1 column", "RFC 8259", b"{nonsense"),
    "not UTF-8": Case("bad_json", "UTF-8 at byte", "UTF-8", b'{"id":"\xff"}'),
    "two documents": Case("bad_json", "not JSON", "one JSON", GOOD + GOOD),
    "an array": Case("bad_json", "one JSON object", "one JSON", b"[1]"),
    "deep": Case(
        "bad_json",
        "deeper than",
        "one JSON",
        with_().replace(b'{"team"', b'{"a":' + b"[" * 99 + b"]" * 99 + b',"team"'),
    ),
    "wide integer": Case("bad_json", "64 bits", "one JSON", with_(data=2**65)),
    "a key twice": Case("duplicate_attribute", '"id" twice', "once", GOOD[:-1] + b',"id":"other"}'),
    "a data key twice": Case(
        "duplicate_attribute", '"a" twice', "once", GOOD[:-1] + b',"data":{"a":1,"a":2}}'
    ),
    "data twice": Case("duplicate_attribute", "data_base64", "once", with_(data_base64="eA==")),
    "data is XML": Case(
        "bad_content_type", "application/json", "JSON", with_(datacontenttype="text/xml")
    ),
    "nothing": Case("no_data", "needs a body", "JSON", b""),
    "a batch": Case(
        "batch_not_supported",
        "batch",
        "its own request",
        b"[" + GOOD + b"]",
        {"content-type": "application/cloudevents-batch+json"},
    ),
    "avro": Case(
        "bad_content_type",
        "cloudevents+json",
        "JSON",
        GOOD,
        {"content-type": "application/cloudevents+avro"},
    ),
    "latin 1": Case(
        "bad_content_type",
        "charset=utf-8",
        "UTF-8",
        GOOD,
        {"content-type": "application/cloudevents+json; charset=latin1"},
    ),
    "no CloudEvent": Case("not_a_cloudevent", "ce-", "ce- headers", b"{}", JSON),
    "no headers": Case("not_a_cloudevent", "ce-", "ce- headers", GOOD, {}),
    "a form": Case(
        "not_a_cloudevent",
        "ce-",
        "ce- headers",
        b"a=b",
        {"content-type": "application/x-www-form-urlencoded"},
    ),
    "binary XML": Case(
        "bad_content_type", "application/json", "JSON", b"<a/>", {**CE, "content-type": "text/xml"}
    ),
    "binary not JSON": Case("bad_json", "not JSON", "RFC 8259", b"nonsense", {**JSON, **CE}),
    "bad escape": Case(
        "bad_attribute",
        '"ce-subject"',
        "fix what is named",
        b"{}",
        {**JSON, **CE, "ce-subject": "50%"},
    ),
    "too many headers": Case(
        "too_many_headers",
        "at most 100",
        "fewer",
        b"{}",
        {**JSON, **CE, **{f"x-{n}": "1" for n in range(99)}},
    ),
}
CASES["binary, no id"] = Case(
    "missing_attribute",
    "lacks id",
    "add what",
    b"{}",
    {name: value for name, value in {**JSON, **CE}.items() if name != "ce-id"},
)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_request_without_an_event_is_refused_with_the_reason_and_a_fix(
    api: Api, store: Store, case: Case
) -> None:
    reply = await api.request("POST", "/v1/events", headers=case.headers, body=case.body)
    problem = reply.problem()
    status = 415 if case.code in {"bad_content_type", "batch_not_supported"} else 400
    assert (reply.status, problem["code"]) == (status, case.code)
    assert case.detail in problem["detail"]
    assert case.fix in problem["fix"]
    assert await store.last_position() == 0


async def test_a_header_that_came_twice_is_refused(api: Api) -> None:
    headers = [*JSON.items(), *CE.items(), ("ce-id", "2")]
    reply = await api.request("POST", "/v1/events", headers=headers, body=b"{}")
    assert reply.problem()["code"] == "duplicate_attribute"


async def test_a_body_that_says_it_is_too_large_is_not_read(api: Api, store: Store) -> None:
    reply = await api.post(GOOD, **{"content-length": str(MAX_BYTES + 1)})
    problem = reply.problem()
    assert (reply.status, problem["code"]) == (413, "too_large")
    assert str(MAX_BYTES) in problem["detail"]
    assert api.chunks_read == 0
    assert await store.last_position() == 0


async def test_a_body_that_turns_out_too_large_is_not_read_to_its_end(api: Api) -> None:
    for length in ({}, {"content-length": "12"}):
        headers = {**STRUCTURED, **length}
        chunks = [b"x" * 100_000] * 50
        reply = await api.request("POST", "/v1/events", headers=headers, body=chunks)
        assert (reply.status, reply.problem()["code"]) == (413, "too_large")
        assert api.chunks_read == 11


async def test_a_body_of_the_largest_size_is_read(api: Api) -> None:
    padding = MAX_BYTES - len(with_(data=""))
    assert (await api.post(with_(data="x" * padding))).status == 202
    assert (await api.post(with_(data="x" * (padding + 1)))).status == 413
