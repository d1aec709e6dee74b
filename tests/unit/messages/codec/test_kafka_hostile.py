"""Kafka records of hostile or careless producers: each is refused, with a code and by name."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from busbar.messages.codec import content, kafka
from busbar.messages.envelope import Envelope
from support.hostile import HOSTILE, Hostile
from support.records import GOOD, STRUCTURED, event
from unit.messages.codec.refusals import refusal


@pytest.mark.parametrize("record", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.timeout(60)  # by the square of its length, the longest would take hours
def test_a_hostile_record_is_refused_with_its_code_and_by_name(record: Hostile) -> None:
    refused = refusal(record.headers, record.value, record.key)
    assert refused.code == record.code
    assert record.named in refused.detail


def test_a_refusal_never_repeats_what_a_value_holds() -> None:
    for name in ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_note"):
        for spoiled in (b"hunter2\n", b"hunter2 hunter2" * 300):
            refused = refusal([(name, spoiled), ("content-type", b"application/json")], b"{}")
            assert "hunter2" not in str(refused)
    refused = refusal([("ce_id", b"1"), ("content-type", b"hunter2")], b"{}")
    assert "hunter2" not in str(refused)


@pytest.mark.parametrize("letter", ["n", "\x00", "ü", "\u2028", "\U0001f600", "\udcff"])
def test_a_name_of_any_characters_is_shown_short_and_on_one_line(letter: str) -> None:
    assert refusal([(f"ce_{letter * 10_000}", b"1")], b"{}").code == "bad_attribute"
    refused = refusal(STRUCTURED, event(**{letter * 10_000: 1}))
    assert refused.code == ("bad_json" if letter == "\udcff" else "bad_attribute")


@pytest.mark.parametrize("prefix", ["", "ce_"])
def test_long_names_are_not_remembered(prefix: str) -> None:
    names = kafka._BINDING.names
    names.clear()
    for number in range(50):
        name = f"{prefix}{number}{'x' * 100_000}"
        if prefix:
            assert refusal([*GOOD, (name, b"1")], b"{}").code == "bad_attribute"
        else:
            kafka.read([*GOOD, (name, b"1")], b"{}", None)
    assert set(names) == {name for name, _ in GOOD}


def test_no_more_names_are_remembered_than_there_is_room_for() -> None:
    names = kafka._BINDING.names
    for number in range(content.MAX_CACHED_NAMES + 50):
        kafka.read([*GOOD, (f"ce_n{number}", b"1"), (f"n{number}", b"1")], b"{}", None)
        assert len(names) <= content.MAX_CACHED_NAMES
    assert kafka.read([*GOOD, ("ce_n0", b"1")], b"{}", None).extensions == {"n0": "1"}


@pytest.mark.parametrize("name", ["ce_Nöte", "ce_too-long", "CE_data", "ce_"])
def test_a_name_that_is_refused_is_refused_again_and_not_remembered(name: str) -> None:
    kafka._BINDING.names.clear()
    for _ in range(2):
        assert refusal([*GOOD, (name, b"1")], b"{}").code == "bad_attribute"
    assert name not in kafka._BINDING.names


def test_a_name_that_is_not_utf_8_is_refused() -> None:
    # The bus hands names over with surrogates where their bytes are not UTF-8 (PEP 383).
    assert refusal([("ce_\udcff", b"1")], b"{}").code == "bad_attribute"
    assert refusal([("\udcff", b"1")], b"{}").code == "not_a_cloudevent"


def test_the_longest_key_is_read_and_written() -> None:
    longest = "k" * 4096
    read = kafka.read(GOOD, b"{}", longest.encode())
    assert kafka.write(read)[2] == longest.encode()
    with pytest.raises(ValueError, match="4096"):
        kafka.write(replace(read, key=longest + "k"))


def test_a_record_that_fits_only_without_its_attributes_is_not_written() -> None:
    read = kafka.read(GOOD, b'"' + b"x" * 990_000 + b'"', None)
    kafka.write(replace(read, extensions={f"n{n}": "x" * 4096 for n in range(14)}))
    with pytest.raises(ValueError, match="with its attributes"):
        kafka.write(replace(read, extensions={f"n{n}": "x" * 4096 for n in range(15)}))


def test_the_longest_body_that_is_not_added_up_fits_beside_anything() -> None:
    most = Envelope(
        id="i" * 1024,
        source="s" * 1024,
        type="t" * 255,
        subject="s" * 4096,
        time=datetime(2026, 1, 31, 12, 0, 0, 1, UTC),
        dataschema="urn:" + "d" * 4092,
        extensions={f"n{n:099}": "x" * 4096 for n in range(57)},
        data="",
        key="k" * 4096,
    )
    record = kafka.write(most, body=b"x" * kafka._FITS_BYTES)
    assert len(record[0]) == 65
    assert kafka._size(record) <= kafka.MAX_RECORD_BYTES
    with pytest.raises(ValueError, match="with its attributes"):
        kafka.write(most, body=b"x" * 900_000)
