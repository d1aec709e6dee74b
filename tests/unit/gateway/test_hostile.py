"""Input that is refused over Kafka is refused over HTTP as well, with the same code."""

import pytest

from busbar.runtime.store import Store
from support.hostile import HOSTILE, Hostile
from unit.gateway.conftest import Api

OTHERWISE = {"too_large": 413, "bad_content_type": 415, "batch_not_supported": 415}
KAFKA_ONLY = {
    # HTTP has no null, and an empty body is how it says that there is no data.
    "headers, a null id",
    "headers, a null extension",
    "headers, a null content-type",
    "binary, an empty value",
    # Not a name that HTTP lets through.
    "headers, an extension without a name",
    "headers, a newline in a name",
    "headers, a kelvin sign for a k",
    "400,000 headers of nothing",
    "a header's name of 900 kB",
    # HTTP servers hand over no control characters; percent-encoded they are another test.
    "headers, a control character",
    "headers, a newline",
    # No text to HTTP, whose headers are Latin-1: not UTF-8, but no attribute either.
    "headers, a content-type not in UTF-8",
    # HTTP strips what is around a value.
    "binary, specversion ' 1.0'",
    "binary, time ' 2026-01-31T12:00:00Z'",
}
ALIKE = {
    name: record
    for name, record in HOSTILE.items()
    if name not in KAFKA_ONLY and record.code != "bad_key" and name.isascii()
}


def as_http(record: Hostile) -> list[tuple[str, str]]:
    """The record's headers as an HTTP server hands them over: Latin-1, spelled with a dash."""
    headers = [
        (name.replace("ce_", "ce-", 1).replace("CE_", "CE-", 1), (value or b"").decode("latin-1"))
        for name, value in record.headers
    ]
    return [pair for pair in headers if pair[0]]


@pytest.mark.parametrize("name", ALIKE)
async def test_a_hostile_record_is_refused_over_http_as_well(
    name: str, api: Api, store: Store
) -> None:
    record = ALIKE[name]
    reply = await api.request(
        "POST", "/v1/events", headers=as_http(record), body=record.value or b""
    )
    problem = reply.problem()
    assert problem["code"] == record.code
    assert reply.status == OTHERWISE.get(record.code, 400)
    assert len(problem["detail"]) < 250
    assert await store.last_position() == 0
