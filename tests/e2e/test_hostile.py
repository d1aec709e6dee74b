"""Hostile records between good ones, on topics of intents and of facts, at the whole platform."""

import base64
import json
import random
import secrets
from collections.abc import Mapping, Sequence

import psutil
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from busbar.cli.local import Platform
from busbar.cli.shared.exits import ExitCode
from busbar.kernel.ids import operation_id
from busbar.messages import topics
from busbar.messages.codec.kafka import MAX_RECORD_BYTES
from busbar.messages.http import DeadLetter
from busbar.sdk import Client
from e2e.test_commands import busbar
from support import eventually
from support.hostile import HOSTILE, LARGEST, Hostile
from support.odd_names import ODD, send_odd_name

pytestmark = pytest.mark.timeout(400)

INTENTS = topics.INTENTS_RESOURCE
SENDABLE = {name: one for name, one in HOSTILE.items() if len(one.value or b"") < MAX_RECORD_BYTES}
OF_EACH_KIND = {hostile.code: hostile for hostile in SENDABLE.values()}
"""One of each kind: a consumer stops rather than take a hundred unreadable facts in a row."""

EVERY = 12
"""After so many hostile records comes a good one."""

RSS_BYTES = 1024**3
"""No service takes as much, whatever it is sent; idle ones take a tenth of it."""

NOISE = random.Random(7).randbytes(200_000)
PARTITION = 3


def good_headers(id_: str) -> list[tuple[str, bytes]]:
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", id_.encode()),
        ("ce_source", b"urn:test"),
        ("ce_type", b"busbar.resource.apply.v1"),
    ]


def good_value(team: str, name: str) -> bytes:
    named = {"team": team, "environment": "dev", "promise": "event-stream", "name": name}
    return json.dumps({**named, "spec": {"partitions": 1}}).encode()


async def send(producer: AIOKafkaProducer, topic: str, partition: int, hostile: Hostile) -> int:
    """Produce it; its offset."""
    # This producer wants a value or a key.
    key = b"k" if hostile.value is None and hostile.key is None else hostile.key
    sent = await producer.send_and_wait(
        topic, hostile.value, key=key, headers=hostile.headers, partition=partition
    )
    return int(sent.offset)


async def dead_letters_of(
    client: Client, service: str, topic: str, offsets: Sequence[int]
) -> Mapping[int, DeadLetter]:
    """The dead letters of ``service`` about these records of ``topic``, once all are there."""

    async def found() -> dict[int, DeadLetter] | None:
        dead_letters = {
            dead_letter.offset: dead_letter
            async for dead_letter in client.dead_letters(service=service)
            if dead_letter.topic == topic and dead_letter.offset in wanted
        }
        return dead_letters if len(dead_letters) == len(wanted) else None

    wanted = set(offsets)
    dead_letters = await eventually(
        found, within=120, every=1, what=f"{len(wanted)} dead letters of {service}"
    )
    assert dead_letters is not None
    return dead_letters


async def ended(client: Client, operations: Sequence[str]) -> bool:
    return all([(await client.operation(one)).status == "succeeded" for one in operations])


def assert_memory(platform: Platform) -> None:
    for service, pid in platform.pids.items():
        assert psutil.Process(pid).memory_info().rss < RSS_BYTES, service


async def test_every_hostile_record_is_a_dead_letter_and_every_good_intent_between_them_ends(
    platform: Platform, client: Client, producer: AIOKafkaProducer, team: str
) -> None:
    sent: dict[str, int] = {}
    operations: list[str] = []
    for number, (name, hostile) in enumerate(SENDABLE.items()):
        sent[name] = await send(producer, INTENTS, PARTITION, hostile)
        if number % EVERY == 0 or number == len(SENDABLE) - 1:
            id_ = secrets.token_hex(8)
            await producer.send_and_wait(
                INTENTS,
                good_value(team, f"s{number}"),
                headers=good_headers(id_),
                partition=PARTITION,
            )
            operations.append(str(operation_id("urn:test", id_)))
    await eventually(
        lambda: ended(client, operations), within=120, every=0.5, what="the good intents"
    )
    dead_letters = await dead_letters_of(client, "policy", INTENTS, list(sent.values()))
    for name, offset in sent.items():
        dead_letter = dead_letters[offset]
        assert dead_letter.reason == SENDABLE[name].code, name
        assert SENDABLE[name].named in dead_letter.detail, name
        assert dead_letter.size == len(SENDABLE[name].value or b""), name
    assert_memory(platform)


async def test_hostile_records_among_facts_are_dead_letters_of_every_service_that_reads_them(
    platform: Platform, client: Client, producer: AIOKafkaProducer, team: str
) -> None:
    resource = f"{team}/dev/event-stream/behind"
    partitions = list(range(topics.PARTITIONS))
    partition = DefaultPartitioner()(resource.encode(), partitions, partitions)
    offsets = [
        await send(producer, topics.FACTS_POLICY, partition, hostile)
        for hostile in OF_EACH_KIND.values()
    ]
    operation = (await client.apply(resource, {"partitions": 1})).operation
    await eventually(lambda: ended(client, [operation]), within=120, what="the intent behind them")
    for service in ("provisioner", "notifier", "gateway"):
        dead_letters = await dead_letters_of(client, service, topics.FACTS_POLICY, offsets)
        reasons = [dead_letters[offset].reason for offset in offsets]
        assert reasons == list(OF_EACH_KIND)
    assert_memory(platform)


async def test_the_largest_record_is_kept_whole_and_its_dead_letter_is_redriven(
    platform: Platform, client: Client, producer: AIOKafkaProducer
) -> None:
    offset = await send(producer, INTENTS, PARTITION, LARGEST)
    dead_letter = (await dead_letters_of(client, "policy", INTENTS, [offset]))[offset]
    record = (await client.dead_letter(dead_letter.dead_letter)).record
    assert record.value == (LARGEST.value or b"").decode()
    assert record.headers == tuple((name, (text or b"").decode()) for name, text in LARGEST.headers)
    arguments = ("--home", str(platform.home), "dead-letters", "redrive", dead_letter.dead_letter)
    code, out, errors = await busbar(*arguments)
    assert code == ExitCode.FAILED, out + errors
    assert "still unreadable: 1005 headers came" in out


async def test_a_record_that_only_compression_made_small_stops_nothing(
    platform: Platform, client: Client, team: str
) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=platform.bootstrap, max_request_size=20_000_000, compression_type="zstd"
    )
    await producer.start()
    try:
        sent = await producer.send_and_wait(INTENTS, NOISE * 60, partition=PARTITION)
    finally:
        await producer.stop()
    dead_letter = (await dead_letters_of(client, "policy", INTENTS, [sent.offset]))[sent.offset]
    assert (dead_letter.size, dead_letter.reason) == (12_000_000, "too_large")
    assert "it is only in the store of policy" in dead_letter.detail
    operation = (await client.apply(f"{team}/dev/event-stream/s", {"partitions": 1})).operation
    await eventually(lambda: ended(client, [operation]), within=60, what="the next intent")
    assert_memory(platform)


async def test_a_header_whose_name_is_not_utf_8_stops_no_service(
    client: Client, producer: AIOKafkaProducer, team: str
) -> None:
    id_ = secrets.token_hex(8)
    offset = await send_odd_name(producer, INTENTS, PARTITION, [b"beside", b"odd"])
    await producer.send_and_wait(
        INTENTS, good_value(team, "s"), headers=good_headers(id_), partition=PARTITION
    )
    operation = str(operation_id("urn:test", id_))
    await eventually(lambda: ended(client, [operation]), within=60, what="the intent behind it")
    dead_letters = await dead_letters_of(client, "policy", INTENTS, [offset - 1, offset])
    assert {dead_letter.reason for dead_letter in dead_letters.values()} == {"not_a_cloudevent"}
    record = (await client.dead_letter(dead_letters[offset].dead_letter)).record
    name = "base64:" + base64.b64encode(ODD.encode(errors="surrogateescape")).decode()
    assert record.headers == ((name, "1"),)


async def test_nothing_of_all_that_is_missing_from_the_audit_log(client: Client) -> None:
    report = await client.completeness()
    assert report.complete, report.problems
