"""Hostile records are kept complete with the reason, and later records are handled."""

import base64
import random
from dataclasses import replace

import pytest

from busbar.kernel.errors import Reject
from busbar.messages.codec import kafka as codec
from busbar.messages.delivery import DeadLettered
from busbar.messages.notification import DeleteSubscription
from busbar.messages.topics import DEAD_LETTER_MAX_BYTES, RECORD_MAX_BYTES, configuration
from busbar.runtime.consume.dead_letters import DETAIL_CHARS, pack, unpack
from busbar.runtime.core.bus import MAX_PART_BYTES, Record, in_parts
from busbar.runtime.store.parts.outbox import BatchLimits
from busbar.testing import ManualClock, RecordingPublisher
from support.hostile import HOSTILE, LARGEST, Hostile
from support.redrive import outcomes, redrive
from support.runtime import (
    Toy,
    append,
    cipher,
    drain,
    expected_facts,
    facts_on,
    record,
    relay_of,
)

TOPIC = DeleteSubscription.TOPIC
NOISE = random.Random(7).randbytes(12_000_000)


def as_record(hostile: Hostile, offset: int) -> Record:
    return Record(TOPIC, 0, offset, -(10**15), hostile.key, hostile.value, hostile.headers)


@pytest.mark.timeout(120)
async def test_every_hostile_record_is_kept_whole_and_the_good_one_behind_it_is_handled(
    toy: Toy,
) -> None:
    hostile = [as_record(one, 2 * place) for place, one in enumerate(HOSTILE.values())]
    good = [record(2 * place + 1) for place in range(len(HOSTILE))]
    both = [one for pair in zip(hostile, good, strict=True) for one in pair]
    await toy.engine.handle_batch(both)
    assert await toy.done() == [one.offset for one in good]
    assert await toy.offsets() == {(TOPIC, 0): len(both)}
    dead_letters = await toy.dead()
    assert [dead_letter.offset for dead_letter in dead_letters] == [one.offset for one in hostile]
    for name, dead_letter, sent in zip(HOSTILE, dead_letters, hostile, strict=True):
        assert dead_letter.reason == HOSTILE[name].code, name
        assert HOSTILE[name].named in dead_letter.detail, name
        assert (
            unpack(
                cipher().decrypt(
                    base64.b64decode(dead_letter.sealed), context=dead_letter.dead_letter
                )
            )
            == sent
        )


@pytest.mark.parametrize(
    "hostile",
    [
        replace(LARGEST, value=NOISE[:900_000]),
        Hostile([], NOISE[: codec.MAX_RECORD_BYTES], ""),
        Hostile([("", None)] * (RECORD_MAX_BYTES // 2), None, ""),
        Hostile([("\x01" * RECORD_MAX_BYTES, b"")], b"", ""),
        Hostile([("\U0001f600" * (RECORD_MAX_BYTES // 4), b"")], b"", ""),
        Hostile([("n", NOISE[at : at + 9]) for at in range(0, 900_000, 9)], b"{", ""),
    ],
    ids=["everything", "noise", "empty headers", "a control name", "an odd name", "headers"],
)
async def test_every_record_that_a_broker_accepts_is_published_complete_as_a_dead_letter(
    toy: Toy, clock: ManualClock, hostile: Hostile
) -> None:
    sent = as_record(hostile, 0)
    await toy.engine.handle_batch([sent])
    publisher = RecordingPublisher()
    await drain(relay_of(toy.store, publisher, clock))
    (published,) = [one for one in publisher.records if one.topic == "busbar.dlq.policy"]
    assert len(published.value or b"") < DEAD_LETTER_MAX_BYTES - 4096
    headers = dict(published.headers)
    assert headers["ce_type"] == DeadLettered.TYPE.encode()
    assert headers["content-type"] == b"application/json"
    dead_letter = DeadLettered.model_validate_json(published.value or b"")
    opened = cipher().decrypt(base64.b64decode(dead_letter.sealed), context=dead_letter.dead_letter)
    assert unpack(opened) == sent


async def test_a_record_too_large_to_publish_stays_in_the_store_and_stops_no_relay(
    toy: Toy, clock: ManualClock
) -> None:
    # Such a record can only arrive compressed: brokers limit the size of the compressed batch.
    sent = as_record(Hostile([], NOISE, ""), 0)
    await toy.engine.handle_batch([sent, record(1)])
    (dead_letter,) = await toy.dead()
    assert (dead_letter.sealed, dead_letter.size) == ("", len(NOISE))
    assert "only in the store of policy" in dead_letter.detail
    async with toy.store.reading() as tx:
        assert await toy.dead_letters.find(tx, dead_letter.dead_letter) == sent
    publisher = RecordingPublisher()
    await drain(relay_of(toy.store, publisher, clock))
    assert facts_on(publisher) == expected_facts(1, first=2)
    assert max(len(one.value or b"") for one in publisher.records) < 10_000


async def test_a_large_dead_letter_is_redriven(toy: Toy) -> None:
    good = record(5)
    headers = [*good.headers, *[("x", NOISE[:18_000])] * 50]
    toy.broken["s5"] = Reject("no_use", "not yet")
    await toy.engine.handle_batch([Record(TOPIC, 0, 5, 0, good.key, good.value, headers)])
    toy.broken.clear()
    (dead_letter,) = await toy.dead()
    await toy.engine.handle_batch([redrive(0, dead_letter.dead_letter)])
    assert [one.outcome for one in await outcomes(toy)] == ["handled"]
    assert await toy.done() == [5]


async def test_long_details_are_truncated(toy: Toy) -> None:
    toy.broken["s5"] = Reject("no_use", "x" * 1_000_000)
    await toy.engine.handle_batch([record(5)])
    (dead_letter,) = await toy.dead()
    await toy.engine.handle_batch([redrive(0, dead_letter.dead_letter)])
    (outcome,) = await outcomes(toy)
    assert len(dead_letter.detail) <= DETAIL_CHARS + 1
    assert len(outcome.detail) <= DETAIL_CHARS + 1


def test_a_dead_letter_of_an_earlier_release_is_still_opened() -> None:
    spelled = (
        b'{"topic":"t","partition":1,"offset":2,"timestamp":3,"key":null,"value":"ew==",'
        b'"headers":[["a","/w=="],["a",null]]}'
    )
    old = unpack(spelled)
    assert old == Record("t", 1, 2, 3, None, b"{", [("a", b"\xff"), ("a", None)])
    assert unpack(pack(old)) == old


def test_a_header_name_that_is_not_utf_8_is_kept_as_it_was() -> None:
    odd = Record("t", 1, 2, 3, None, b"{", [("a\udcff", b"")])
    assert unpack(pack(odd)) == odd


def test_a_batch_is_handled_in_parts_that_are_not_too_large() -> None:
    half = NOISE[: MAX_PART_BYTES // 2]
    sizes = [b"", half, half, b"1", NOISE, NOISE, b"", b"2"]
    records = [Record("t", 0, at, 0, None, value, []) for at, value in enumerate(sizes)]
    parts = [[one.offset for one in part] for part in in_parts(records)]
    assert parts == [[0, 1, 2], [3], [4], [5], [6, 7]]
    assert list(in_parts([])) == []


async def test_a_batch_of_a_relay_is_limited_in_bytes(toy: Toy, clock: ManualClock) -> None:
    large = [as_record(Hostile([], NOISE[:1_000_000], ""), offset) for offset in range(12)]
    await toy.engine.handle_batch(large)
    await append(toy.store, "a", 1)
    publisher = RecordingPublisher()
    publisher.lose = 1
    relay = relay_of(toy.store, publisher, clock)
    with pytest.raises(Exception, match="lost"):
        await relay.step()
    await drain(relay)
    assert max(sum(len(one.value or b"") for one in batch) for batch in publisher.batches) <= (
        BatchLimits().chars
    )
    assert facts_on(publisher) == expected_facts(1, first=13)
    dead_letters = {envelope.id for envelope in publisher.of(DeadLettered.TYPE)}
    assert len(dead_letters) == len(large)


def test_every_topic_says_how_large_its_records_may_be() -> None:
    assert int(configuration(TOPIC)["max.message.bytes"]) >= codec.MAX_RECORD_BYTES
    assert int(configuration("busbar.facts.policy")["max.message.bytes"]) == RECORD_MAX_BYTES
    assert int(configuration("busbar.dlq.policy")["max.message.bytes"]) == DEAD_LETTER_MAX_BYTES
