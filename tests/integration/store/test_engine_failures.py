"""A record that cannot be handled is kept complete and encrypted, with the reason."""

import base64
import json
from pathlib import Path

import pytest

from busbar.kernel.errors import ConfigurationError, Reject, Retry
from busbar.kernel.ids import event_id
from busbar.messages.base import IntentRef
from busbar.messages.notification import DeleteSubscription
from busbar.messages.topics import dead_letters
from busbar.runtime.consume.dead_letters import DeadLetters, unpack
from busbar.runtime.core.bus import Record
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.outbox.relay import Relay
from busbar.testing import ManualClock, RecordingPublisher
from support.runtime import (
    SOURCE,
    Toy,
    cipher,
    intent,
    record,
    unreadable,
)

TOPIC = DeleteSubscription.TOPIC
SECRET = b"pa55phrase-in-a-broken-record"


async def test_an_unreadable_record_is_kept_whole_and_later_records_go_on(toy: Toy) -> None:
    broken = Record(TOPIC, 0, 1, 17, b"\xff", SECRET, [("a", None), ("b", b"\xfe"), ("a", b"")])
    await toy.engine.handle_batch([record(0), broken, record(2)])
    assert await toy.done() == [0, 2]
    assert await toy.offsets() == {(TOPIC, 0): 3}
    (dead_letter,) = await toy.dead()
    assert (dead_letter.topic, dead_letter.partition, dead_letter.offset) == (TOPIC, 0, 1)
    assert (dead_letter.service, dead_letter.size, dead_letter.intent) == (
        "policy",
        len(SECRET),
        None,
    )
    opened = cipher().decrypt(base64.b64decode(dead_letter.sealed), context=dead_letter.dead_letter)
    assert unpack(opened) == broken
    async with toy.store.reading() as tx:
        assert await toy.dead_letters.find(tx, dead_letter.dead_letter) == broken


async def test_the_reason_of_a_dead_letter_is_the_codecs_code_and_sentence(toy: Toy) -> None:
    good = record(1)
    nameless = [header for header in good.headers if header[0] != "ce_id"]
    await toy.engine.handle_batch(
        [unreadable(0), Record(TOPIC, 0, 1, 0, good.key, good.value, nameless)]
    )
    assert [dead_letter.reason for dead_letter in await toy.dead()] == [
        "not_a_cloudevent",
        "missing_attribute",
    ]
    assert "id" in (await toy.dead())[1].detail


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_the_plaintext_of_a_dead_letter_is_in_no_file_and_in_no_published_record(
    toy: Toy, tmp_path: Path, clock: ManualClock
) -> None:
    toy.broken["s1"] = ArithmeticError(SECRET.decode())
    known = {"note": SECRET.decode()}
    await toy.engine.handle_batch(
        [
            unreadable(0, SECRET),
            record(1),
            record(2, intent(2, **known)),
        ]
    )
    publisher = RecordingPublisher()
    relay = Relay(toy.store, publisher, clock=clock, holder="a", lease=5)
    while await relay.step():
        pass
    assert len(await toy.dead()) == 3
    forms = [SECRET, base64.b64encode(SECRET), json.dumps(SECRET.decode()).encode()]
    forms += [base64.b64encode(b"." * shift + SECRET)[4:-4] for shift in range(3)]
    for path, content in _contents(tmp_path).items():
        assert not [form for form in forms if form in content], path
    for published in publisher.records:
        whole = b"".join([published.value or b"", *(value for _, value in published.headers)])
        assert not [form for form in forms if form in whole]


async def test_a_dead_letter_is_published_on_the_topic_of_its_service_under_its_id(
    toy: Toy,
) -> None:
    await toy.engine.handle_batch([unreadable(5, partition=3)])
    (event,) = await toy.store.events()
    dead_letter = event_id("policy", f"{TOPIC}/3", "5", 0)
    assert (event.topic, event.key) == (dead_letters("policy"), dead_letter)
    assert (await toy.dead())[0].dead_letter == dead_letter


async def test_a_dead_letter_does_not_open_under_another_key_or_another_name(toy: Toy) -> None:
    await toy.engine.handle_batch([unreadable(0), unreadable(1)])
    first, second = await toy.dead()
    stranger = DeadLetters("policy", Cipher(b"x" * 32))
    async with toy.store.reading() as tx:
        with pytest.raises(ConfigurationError, match="BUSBAR_DATA_KEY"):
            await stranger.find(tx, first.dead_letter)
        assert await toy.dead_letters.find(tx, "no such dead letter") is None
    with pytest.raises(ConfigurationError):
        cipher().decrypt(base64.b64decode(first.sealed), context=second.dead_letter)


async def test_redelivering_an_unreadable_record_makes_no_second_dead_letter(toy: Toy) -> None:
    await toy.engine.handle_batch([unreadable(0)])
    await toy.restarted().handle_batch([unreadable(0), record(1)])
    assert len(await toy.dead()) == 1
    assert await toy.done() == [1]


async def test_one_failing_record_of_fifty_is_given_up_and_the_others_are_handled_in_order(
    toy: Toy,
) -> None:
    toy.broken["s23"] = ArithmeticError("no")
    await toy.engine.handle_batch([record(offset) for offset in range(50)])
    assert await toy.done() == [number for number in range(50) if number != 23]
    (dead_letter,) = await toy.dead()
    assert (dead_letter.offset, dead_letter.reason) == (23, "handler_failed")
    assert dead_letter.detail == "policy failed 3 times with ArithmeticError"
    assert dead_letter.intent == IntentRef(
        source=SOURCE, id="intent-23", type=DeleteSubscription.TYPE
    )
    assert await toy.offsets() == {(TOPIC, 0): 50}


@pytest.mark.parametrize("attempts", [1, 2, 7])
async def test_a_failing_record_is_tried_as_often_as_is_set(
    toy: Toy, clock: ManualClock, attempts: int
) -> None:
    toy.attempts = attempts
    toy.broken["s0"] = ArithmeticError("no")
    await toy.restarted().handle_batch([record(0)])
    assert toy.handled == ["s0"] * attempts
    assert clock.slept == [pytest.approx(0.1 * 2**n) for n in range(1, attempts)]
    assert len(await toy.dead()) == 1


async def test_a_failure_that_passes_leaves_no_trace(toy: Toy) -> None:
    toy.failing["s1"] = [ArithmeticError("once"), ArithmeticError("twice")]
    await toy.engine.handle_batch([record(offset) for offset in range(3)])
    assert await toy.done() == [0, 1, 2]
    assert await toy.dead() == []
    counts = await toy.effects()
    assert (counts["events"], counts["tasks"], counts["documents"]) == (3, 3, 3)


async def test_nothing_that_a_given_up_record_did_stays(toy: Toy) -> None:
    toy.broken["s0"] = Reject("no_use", "it is of no use")
    await toy.engine.handle_batch([record(0)])
    counts = await toy.effects()
    assert counts == {
        "events": 1,  # the dead letter
        "dead_letters": 1,
        "offsets": 1,
        "inbox": 0,
        "tasks": 0,
        "documents": 0,
    }


async def test_a_rejected_record_is_given_up_immediately(toy: Toy, clock: ManualClock) -> None:
    toy.broken["s1"] = Reject("no_use", "it is of no use")
    await toy.engine.handle_batch([record(1)])
    assert toy.handled == ["s1"]
    assert clock.slept == []
    (dead_letter,) = await toy.dead()
    assert (dead_letter.reason, dead_letter.detail) == ("no_use", "it is of no use")


async def test_a_record_that_wants_to_wait_is_tried_again_after_its_time(
    toy: Toy, clock: ManualClock
) -> None:
    toy.failing["s0"] = [Retry("too early", after=7.5), Retry("still", after=2)]
    await toy.engine.handle_batch([record(0)])
    assert clock.slept == [7.5, 2]
    assert await toy.done() == [0]


async def test_an_event_that_was_given_up_can_be_sent_again(toy: Toy) -> None:
    toy.broken["s5"] = Reject("no_use", "not yet")
    await toy.engine.handle_batch([record(0, intent(5), id_="x")])
    toy.broken.clear()
    await toy.engine.handle_batch([record(1, intent(5), id_="x")])
    assert await toy.done() == [5]


async def test_a_producer_cannot_take_the_id_that_a_later_dead_letter_needs(toy: Toy) -> None:
    place = record(0)
    headers = [
        (name, f"kafka:{TOPIC}/0".encode() if name == "ce_source" else value)
        for name, value in record(0, id_="7").headers
    ]
    await toy.engine.handle_batch([Record(TOPIC, 0, 0, 0, place.key, place.value, headers)])
    assert await toy.done() == [0]
    await toy.engine.handle_batch([unreadable(7), record(8)])
    assert [dead_letter.offset for dead_letter in await toy.dead()] == [7]
    assert await toy.done() == [0, 8]
