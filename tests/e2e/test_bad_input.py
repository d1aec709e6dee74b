"""Every record on the topic of intents ends in an outcome or a dead letter that says why."""

import json
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from busbar.kernel.ids import operation_id, record_operation
from busbar.messages.http import DeadLetter
from busbar.sdk import Client, GatewayProblem, Sentence
from support import eventually

TOPIC = "busbar.intents.resource"
GOOD = {"environment": "dev", "promise": "event-stream", "spec": {"partitions": 1}}


def binary(id_: str, **changed: str | None) -> list[tuple[str, bytes]]:
    headers: dict[str, str | None] = {
        "ce_specversion": "1.0",
        "ce_id": id_,
        "ce_source": "urn:test",
        "ce_type": "busbar.resource.apply.v1",
        "content-type": "application/json",
        **changed,
    }
    return [(name, value.encode()) for name, value in headers.items() if value is not None]


UNREADABLE: Mapping[str, tuple[dict[str, str | None], bytes, str]] = {
    "without an id": ({"ce_id": None}, b"{}", "missing_attribute"),
    "with an empty source": ({"ce_source": ""}, b"{}", "empty_attribute"),
    "with a bad time": ({"ce_time": "yesterday"}, b"{}", "bad_time"),
    "of another specversion": ({"ce_specversion": "0.3"}, b"{}", "bad_specversion"),
    "that is not JSON": ({}, b"{nonsense", "bad_json"),
    "with the same key twice": ({}, b'{"a":1,"a":2}', "duplicate_attribute"),
    "in another format": ({"content-type": "text/xml"}, b"<a/>", "bad_content_type"),
    "as a batch": ({"content-type": "application/cloudevents-batch+json"}, b"[]", "batch"),
    "a record that is not a CloudEvent": (
        dict.fromkeys(("ce_specversion", "ce_id", "ce_source", "ce_type")),
        b"hello",
        "not_a_cloudevent",
    ),
}


@pytest.mark.parametrize("what", UNREADABLE)
async def test_a_record_that_cannot_be_read_becomes_a_dead_letter_that_says_why(
    what: str, client: Client, producer: AIOKafkaProducer
) -> None:
    changed, value, code = UNREADABLE[what]
    mark = secrets.token_hex(8)
    headers = [*binary(mark, **changed), ("x-mark", mark.encode())]
    sent = await producer.send_and_wait(TOPIC, value, headers=headers)

    async def found() -> DeadLetter | None:
        async for dead_letter in client.dead_letters(service="policy"):
            if (dead_letter.topic, dead_letter.partition, dead_letter.offset) == (
                TOPIC,
                sent.partition,
                sent.offset,
            ):
                return dead_letter
        return None

    dead_letter = await eventually(found, what="the dead letter")
    assert dead_letter is not None
    assert dead_letter.reason.startswith(code)
    assert dead_letter.detail
    opened = await client.dead_letter(dead_letter.dead_letter)
    assert opened.record.value == value.decode()
    assert ("x-mark", mark) in opened.record.headers
    operation = str(record_operation(TOPIC, sent.partition, sent.offset))
    assert (dead_letter.operation, dead_letter.refused) == (operation, True)
    view = await client.operation(operation)
    assert (view.status, view.reason) == ("denied", dead_letter.reason)
    assert (view.detail, view.dead_letter) == (dead_letter.detail, dead_letter.dead_letter)
    why = await eventually(
        lambda: _explained(client, operation), what="the refusal in the audit log"
    )
    assert why is not None
    assert dead_letter.detail in why[-1].text


async def test_a_broken_record_shows_nothing_on_the_operation_whose_id_it_claims(
    client: Client, producer: AIOKafkaProducer, team: str
) -> None:
    id_ = secrets.token_hex(8)
    operation = str(operation_id("urn:test", id_))
    broken = await producer.send_and_wait(TOPIC, b"{", headers=binary(id_), partition=0)
    refusal = str(record_operation(TOPIC, 0, broken.offset))
    why = await eventually(lambda: _explained(client, refusal), what="the refusal")
    assert f"{TOPIC}/0/{broken.offset}" in (why or [])[-1].text
    assert await _unknown(client, operation)
    body = json.dumps(data(team)).encode()
    await producer.send_and_wait(TOPIC, body, headers=binary(id_), partition=0)
    await eventually(lambda: _status(client, id_, "succeeded"), what="the intent", within=30)
    await producer.send_and_wait(TOPIC, b"{", headers=binary(id_), partition=0)
    sentences = await eventually(lambda: _explained(client, operation), what="the explanation")
    for sentence in sentences or []:
        assert f"{TOPIC}/0/{broken.offset}" not in sentence.text
    view = await client.operation(operation)
    assert (view.status, view.dead_letter, view.conflicts) == ("succeeded", "", 0)


def data(team: str, **changed: Any) -> dict[str, Any]:
    return {"team": team, "name": "thing", **GOOD, **changed}


DENIED: Mapping[str, tuple[dict[str, str | None], dict[str, Any], str, str]] = {
    "of unknown type": (
        {"ce_type": "busbar.resource.aply.v1"},
        {},
        "unknown_type",
        "busbar.resource.apply.v1",
    ),
    "for an unknown promise": ({}, {"promise": "event-strem"}, "unknown_promise", "event-stream"),
    "for an unknown version": ({}, {"version": "v9"}, "unknown_promise_version", "v1"),
    "with a wrong field": ({}, {"spec": {"partitions": "many"}}, "invalid_spec", "whole number"),
    "with an extra field": ({}, {"colour": "red"}, "invalid_intent", ""),
    "that expects another generation": (
        {},
        {"expected_generation": 7},
        "generation_mismatch",
        "",
    ),
}


@pytest.mark.parametrize("what", DENIED)
async def test_an_intent_that_cannot_be_granted_is_denied_with_a_remedy(
    what: str, client: Client, producer: AIOKafkaProducer, team: str
) -> None:
    changed, more, reason, hint = DENIED[what]
    id_ = secrets.token_hex(8)
    body = json.dumps(data(team, **more)).encode()
    await producer.send_and_wait(TOPIC, body, headers=binary(id_, **changed))

    async def denied() -> Any:
        view = await client.operation(str(operation_id("urn:test", id_)))
        return view if view.status == "denied" else None

    view = await eventually(denied, what="the denial")
    assert view.reason == reason
    assert all(violation["message"] and violation["fix"] for violation in view.violations)
    assert hint in json.dumps(view.violations)


async def test_an_intent_that_is_too_large_is_denied_and_the_next_one_goes_through(
    client: Client, producer: AIOKafkaProducer, team: str
) -> None:
    large, good = secrets.token_hex(8), secrets.token_hex(8)
    key = f"{team}/dev/event-stream/thing".encode()
    big = json.dumps(data(team, spec={"partitions": 1, "note": "x" * 900_000})).encode()
    await producer.send_and_wait(TOPIC, big, key=key, headers=binary(large))
    await producer.send_and_wait(
        TOPIC, json.dumps(data(team)).encode(), key=key, headers=binary(good)
    )
    await eventually(lambda: _status(client, good, "succeeded"), what="the good intent", within=30)
    view = await client.operation(str(operation_id("urn:test", large)))
    assert view.status == "denied"
    assert "262144" in json.dumps(view.violations)


async def _explained(client: Client, operation: str) -> list[Sentence]:
    return [sentence async for sentence in client.why(operation)]


async def _unknown(client: Client, operation: str) -> bool:
    try:
        await client.operation(operation)
    except GatewayProblem as problem:
        return problem.status == HTTPStatus.NOT_FOUND
    return False


async def _status(client: Client, id_: str, status: str) -> bool:
    return (await client.operation(str(operation_id("urn:test", id_)))).status == status


async def test_nothing_of_all_that_is_missing_from_the_audit_log(client: Client) -> None:
    report = await client.completeness()
    assert report.complete, report.problems
