"""Attributes that look as usual are checked by a look; the verdict is that of the long way."""

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TypeVar

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from busbar.messages.codec import attributes, kafka
from busbar.messages.codec.attributes import (
    CORE,
    MAX_ATTRIBUTES,
    SHORT,
    check_name,
    check_text,
    envelope_of,
    read_time,
)
from busbar.messages.envelope import Envelope, Unreadable
from support.records import GOOD, having

# A shared machine may pause: no deadline for one example.
relaxed = settings(deadline=None)

Found = TypeVar("Found")


def outcome(read: Callable[[], Found]) -> Found | tuple[str, str]:
    """Return what is read, or the code and the sentence of the refusal."""
    try:
        return read()
    except Unreadable as error:
        return error.code, error.detail


# -- times ----------------------------------------------------------------------------------------


def numbers(*usual: str, digits: int) -> st.SearchStrategy[str]:
    return st.sampled_from(usual) | st.text("0123456789", min_size=digits, max_size=digits)


times = st.builds(
    "{}-{}-{}{}{}:{}:{}{}{}".format,
    numbers("2026", "2024", "0000", "0001", "9999", digits=4),
    numbers("01", "12", "00", "13", "02", digits=2),
    numbers("01", "28", "29", "31", "32", "00", digits=2),
    st.sampled_from("TTTTt "),
    numbers("00", "12", "23", "24", digits=2),
    numbers("00", "59", "60", digits=2),
    numbers("00", "59", "60", "61", digits=2),
    st.sampled_from([".123456", ".000000", ".12345", ".1234567", ",123456", ".", ""]),
    st.sampled_from(["Z", "Z", "Z", "z", "+01:00", "-00:00", "+0100", "", "Z\n"]),
)


def read_at_length(value: str) -> datetime:
    leap = attributes._check_time(value, "time")
    if leap:
        return read_time(value)
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Unreadable(
            "bad_time", 'The attribute "time" is not a calendar date of the years 0001 to 9999.'
        ) from error


@settings(relaxed, max_examples=1000)
@given(times | st.text("0123456789-:.,TZW+ ", max_size=30))
def test_a_time_in_the_usual_form_is_read_like_every_other(value: str) -> None:
    read = outcome(lambda: read_time(value))
    assert read == outcome(lambda: read_at_length(value))
    assert not isinstance(read, datetime) or read.tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        "2026-W05-6T12:00:00.123456Z",
        "2026-01-31T12:00:00,123456Z",
        "2026-01-31 12:00:00.123456Z",
        "2026-01-31T12:00:60.123456Z",
        "2026-01-31T24:00:00.000000Z",
        "2026-02-29T12:00:00.123456Z",
        "0000-01-31T12:00:00.123456Z",
        "2026-01-31T12:00:00.123456Z\n",
        "2026-01-31T12:00:00.12345٦Z",
    ],
)
def test_what_only_resembles_the_usual_form_is_not_a_time(value: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read_time(value)
    assert refused.value.code == "bad_time"


zones = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
datetimes = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC) | zones)  # noqa: DTZ001 - hypothesis adds the zone


@relaxed
@given(datetimes | datetimes.map(lambda time: time.replace(microsecond=0)))
def test_a_time_is_written_with_as_many_digits_as_python_writes(time: datetime) -> None:
    headers, _, _ = kafka.write(Envelope(id="1", source="/s", type="t", time=time))
    spelt = time.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"
    assert dict(headers)["ce_time"] == spelt.encode()


# -- texts ----------------------------------------------------------------------------------------

LENGTHS = [0, 1, SHORT - 1, SHORT, SHORT + 1, 1023, 1024, 1025, 4095, 4096, 4097]
texts = st.text(max_size=20) | st.builds(
    lambda length, letter, end: (letter * length)[: length - len(end)] + end,
    st.sampled_from(LENGTHS),
    st.sampled_from("a é\u00a0\U0001f600"),
    st.sampled_from(["", "\n", "\x7f", "\x9f", "\ufdd0", "\U0010ffff", "\u200b"]),
)


OTHER_PARTS = frozenset("?#:%[]@")
"""They begin or end parts of a URI other than its path; test_core_clauses.py is about these."""


def is_refused(name: str, value: str) -> bool:
    """Return True if an attribute may not have this text, by the rules of the specification."""
    longest = {"id": 1024, "source": 1024, "type": 255}.get(name, 4096)
    if any(_is_unwanted(ord(letter)) for letter in value) or len(value.encode()) > longest:
        return True
    if name == "source":
        return not value or not re.fullmatch("[A-Za-z0-9._~!$&'()*+,;=@/-]*", value)
    return name in CORE and not value


def _is_unwanted(point: int) -> bool:
    is_control = point < 0x20 or 0x7F <= point <= 0x9F
    is_noncharacter = 0xFDD0 <= point <= 0xFDEF or point & 0xFFFE == 0xFFFE
    return is_control or is_noncharacter or 0xD800 <= point <= 0xDFFF


@settings(relaxed, max_examples=500)
@given(
    st.sampled_from(["id", "source", "type", "subject", "note"]),
    texts,
)
def test_a_text_is_read_and_written_if_its_attribute_may_have_it(name: str, value: str) -> None:
    assume(name != "source" or not OTHER_PARTS.intersection(value))
    headers = [*having(("ce_subject", b"s"), ("ce_dataschema", b"urn:x"), ("ce_note", b"n"))]
    headers = [(h, value.encode() if h == f"ce_{name}" else text) for h, text in headers]
    envelope = kafka.read([*GOOD], b"{}", None)
    if name == "note":
        written = replace(envelope, extensions={"note": value})
    else:
        written = replace(envelope, **{name: value})  # type: ignore[arg-type]  # all of them are text
    if is_refused(name, value):
        with pytest.raises(Unreadable):
            kafka.read(headers, b"{}", None)
        with pytest.raises(ValueError, match=name):
            kafka.write(written)
    else:
        read = kafka.read(headers, b"{}", None)
        assert value in {getattr(read, name, None), read.extensions.get(name)}
        assert (f"ce_{name}", value.encode()) in kafka.write(written)[0]


@pytest.mark.parametrize("check", [check_text, lambda _name, value: _read_type(value)])
def test_a_limit_counts_bytes_where_a_short_text_is_not_ascii(
    check: Callable[[str, str], object],
) -> None:
    check("type", "é" * 127)
    with pytest.raises(Unreadable, match="longer than 255 bytes"):
        check("type", "é" * 128)


def _read_type(value: str) -> None:
    headers = [(name, text) for name, text in GOOD if name != "ce_type"]
    kafka.read([*headers, ("ce_type", value.encode())], b"{}", None)


def test_white_space_and_unwanted_characters_are_distinguished_from_all_others() -> None:
    for point in range(sys.maxunicode + 1):
        letter = chr(point)
        if letter.isprintable() and letter != " ":
            assert not letter.isspace()
            assert not re.match(r"\s", letter)
        if letter.isascii() and letter.isprintable():
            assert not _is_unwanted(point)


def test_text_is_text_however_it_looks() -> None:
    for value in (None, 1, b"a", ["a"]):
        with pytest.raises(Unreadable, match="must be text"):
            check_text("note", value)
    with pytest.raises(ValueError, match="must be text"):
        kafka.write(Envelope(id="1", source="/s", type="t", extensions={"n": 1}))  # type: ignore[dict-item]  # the point


# -- names and presence ---------------------------------------------------------------------------


def test_a_name_that_is_refused_is_refused_again_and_not_remembered() -> None:
    check_name.cache_clear()
    for name in ["Note", "data", "", "n" * 101, "n" * 100_000] * 2:
        with pytest.raises(Unreadable):
            check_name(name)
    assert check_name.cache_info().currsize == 0


def present_by_the_book(given: dict[str, str]) -> str | None:
    """The code of the refusal, if the attributes ``given`` make no event."""
    if len(given) > MAX_ATTRIBUTES:
        return "bad_attribute"
    if given.get("specversion", "") not in {"", "1.0"}:
        return "bad_specversion"
    if not {"specversion", "id", "source", "type"} <= given.keys():
        return "missing_attribute"
    return "empty_attribute" if any(not given[name] for name in CORE & given.keys()) else None


@settings(relaxed, max_examples=500)
@given(
    st.dictionaries(
        st.sampled_from(["subject", "dataschema", "note"]), st.sampled_from(["", "urn:x"])
    ),
    st.dictionaries(
        st.sampled_from(["specversion", "id", "source", "type"]), st.sampled_from(["", "x", "1.0"])
    ),
    st.sets(st.sampled_from(["specversion", "id", "source", "type"]), max_size=1),
    st.integers(MAX_ATTRIBUTES - 8, MAX_ATTRIBUTES + 1) | st.just(0),
)
def test_an_event_has_all_that_it_must_have_and_no_more_than_it_may(
    optional: dict[str, str], required: dict[str, str], missing: set[str], count: int
) -> None:
    given = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", **optional, **required}
    for name in missing:
        del given[name]
    given |= {f"n{number}": "" for number in range(count)}
    expected = present_by_the_book(given)
    read = outcome(lambda: envelope_of(dict(given)))
    if isinstance(read, Envelope):
        assert expected is None
        assert read.extensions == {n: value for n, value in given.items() if n not in CORE}
        assert (read.id, read.source, read.type) == (given["id"], given["source"], given["type"])
    else:
        assert read[0] == expected
