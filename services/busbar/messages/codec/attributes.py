"""Context attributes: one set of rules for every content mode, for reading and for writing.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md, sections "Type System" and
"Context Attributes". Nothing is repaired: a missing ``id`` is an error and never invented.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from busbar.kernel.clock import format_time
from busbar.messages.codec import media_type, uri
from busbar.messages.codec.json import shown
from busbar.messages.envelope import Envelope, Unreadable

SPECVERSION = "1.0"
DATA_TYPE = "application/json"

MAX_ATTRIBUTES = 64
MAX_NAME_CHARS = 100
"""The specification advises at most 20, and some producers do not follow."""
MAX_VALUE_BYTES = 4096
_MAX_BYTES = {"id": 1024, "source": 1024, "type": 255}
SHORT = min(_MAX_BYTES.values())
"""A length in ASCII characters that every attribute may have."""

_REQUIRED = ("specversion", "id", "source", "type")
_ALL_REQUIRED = frozenset(_REQUIRED)
CORE = frozenset({*_REQUIRED, "subject", "time", "dataschema", "datacontenttype"})
_NOT_EXTENSIONS = CORE | {"data"}

_EXTENSION_NAME = re.compile(f"[a-z0-9]{{1,{MAX_NAME_CHARS}}}")
_INT_MIN, _INT_MAX = -(2**31), 2**31 - 1
_UNWANTED = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\ufdd0-\\ufdef"
    + "".join(f"\\U{plane:04x}fffe\\U{plane:04x}ffff" for plane in range(17))
    + "]"
)
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:(?P<second>[0-5][0-9]|60)"
    r"(?:\.[0-9]+)?(?P<offset>[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?"
)
_USUAL_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z"
)
"""The form that is written here: it needs no further checks."""
_SECOND_AT = len("2026-01-31T12:00:")


def check_text(name: str, value: object) -> str:
    """Return ``value`` if it is text that the attribute ``name`` may hold.

    Raises:
        Unreadable: ``bad_attribute``.
    """
    if not isinstance(value, str):
        raise Unreadable("bad_attribute", f"The attribute {shown(name)} must be text.")
    limit = _MAX_BYTES.get(name, MAX_VALUE_BYTES)
    if value.isascii() and value.isprintable() and len(value) <= limit:
        return value
    if unwanted := _UNWANTED.search(value):
        raise Unreadable(
            "bad_attribute",
            f"The attribute {shown(name)} has U+{ord(unwanted[0]):04X} at position"
            f" {unwanted.start()}; remove control characters, surrogates and noncharacters.",
        )
    if len(value.encode()) > limit:
        raise Unreadable(
            "bad_attribute", f"The attribute {shown(name)} is longer than {limit} bytes of UTF-8."
        )
    return value


@lru_cache(maxsize=1024)  # errors are not cached, and valid names are short
def check_name(name: str) -> None:
    """Refuse ``name`` unless it names an attribute of CloudEvents 1.0, or can name an extension.

    Raises:
        Unreadable: ``bad_attribute``.
    """
    if name in CORE:
        return
    if name == "data" or not _EXTENSION_NAME.fullmatch(name):
        raise Unreadable(
            "bad_attribute",
            f"The extension name {shown(name)} must be 1 to {MAX_NAME_CHARS} of a-z and 0-9, and"
            " not data.",
        )


def check_integer(name: str, value: int) -> str:
    """Return the canonical text of ``value``, which the attribute ``name`` holds.

    Raises:
        Unreadable: ``bad_attribute``; it does not fit 32 bits.
    """
    if not _INT_MIN <= value <= _INT_MAX:
        raise Unreadable(
            "bad_attribute",
            f"The attribute {shown(name)} is an integer that does not fit 32 bits; send it as a"
            " string.",
        )
    return str(value)


def check_media_type(content_type: str | None) -> media_type.MediaType | None:
    """Return the parsed ``content_type`` of data, None if there is none.

    Raises:
        Unreadable: ``bad_content_type``; it is not a media type.
    """
    if content_type is None:
        return None
    found = media_type.parse(content_type)
    if found is None:
        raise Unreadable(
            "bad_content_type",
            "The data's content type (datacontenttype) is not a media type; write it as in"
            " application/json; charset=utf-8.",
        )
    return found


def check_data_type(content_type: str | None, *, is_encoded: bool = True) -> None:
    """Refuse data whose declared type is not JSON; without a declaration it is JSON.

    Data that ``is_encoded`` is bytes, which have to be UTF-8; other data is a part of a JSON
    document, whose own encoding counts.

    Raises:
        Unreadable: ``bad_content_type``.
    """
    if content_type is None or content_type == DATA_TYPE:
        return
    found = check_media_type(content_type)
    if found is None or (found.is_json and (found.is_utf_8 or not is_encoded)):
        return
    raise Unreadable(
        "bad_content_type",
        "The data's content type (datacontenttype) must be application/json or another whose"
        " subtype is json or ends in +json, with charset=utf-8 if it has a charset.",
    )


def read_time(value: str, *, name: str = "time") -> datetime:
    """Return the RFC 3339 timestamp ``value`` in UTC, truncated to microseconds.

    A leap second is read as the second after it, as POSIX does. ``name`` is the attribute's.

    Raises:
        Unreadable: ``bad_time``.
    """
    leap = False
    if not _USUAL_TIME.fullmatch(value):
        leap = _check_time(value, name)
        value = value.upper()
        if leap:
            value = value[:_SECOND_AT] + "59" + value[_SECOND_AT + 2 :]
    try:
        found = datetime.fromisoformat(value).astimezone(UTC)
        return _after_leap_second(found, name) if leap else found
    except (ValueError, OverflowError) as error:
        if isinstance(error, Unreadable):
            raise
        raise _bad_time(name, "is not a calendar date of the years 0001 to 9999") from error


def _check_time(value: str, name: str) -> bool:
    """Check the form of ``value``; return whether its second is 60."""
    match = _TIME.fullmatch(value)
    if match is None:
        raise _bad_time(name, "must look like 2026-01-31T12:00:00Z (RFC 3339)")
    if match["offset"] is None:
        raise _bad_time(name, "needs an offset: append Z, or one like +01:00")
    return match["second"] == "60"


def _after_leap_second(before: datetime, name: str) -> datetime:
    """Return the time a second after ``before``, which a leap second must be able to follow."""
    after = before + timedelta(seconds=1)
    if (after.day, after.hour, after.minute, after.second) != (1, 0, 0, 0):
        raise _bad_time(name, "has second 60, but is not in the last minute of a month in UTC")
    return after


def _bad_time(name: str, why: str) -> Unreadable:
    return Unreadable("bad_time", f"The attribute {shown(name)} {why}.")


def envelope_of(
    attributes: dict[str, str], *, data: Any = None, body: bytes = b"", key: str | None = None
) -> Envelope:
    """Return the event with these ``attributes``, whose names and texts were checked before.

    The event takes ownership of the dictionary, which then holds the extensions only.
    ``datacontenttype`` is not among them: data is JSON (:func:`check_data_type`).

    Raises:
        Unreadable: an attribute is missing, empty or has the wrong form.
    """
    _check(attributes)
    take = attributes.pop
    take("specversion")
    stamp = take("time", None)
    return Envelope(
        id=take("id"),
        source=take("source"),
        type=take("type"),
        subject=take("subject", None),
        time=None if stamp is None else read_time(stamp),
        dataschema=take("dataschema", None),
        extensions=attributes,
        data=data,
        body=body,
        key=key,
    )


def _check(attributes: dict[str, str]) -> None:
    """Check everything but the time, which :func:`read_time` checks."""
    _check_present(attributes)
    check_source(attributes["source"])
    _check_schema(attributes)


def _check_present(attributes: dict[str, str]) -> None:
    if (
        len(attributes) <= MAX_ATTRIBUTES
        and attributes.keys() >= _ALL_REQUIRED
        and attributes["specversion"] == SPECVERSION
        and "" not in attributes.values()
    ):
        return
    if len(attributes) > MAX_ATTRIBUTES:
        raise Unreadable(
            "bad_attribute",
            f"The event has {len(attributes)} attributes; send at most {MAX_ATTRIBUTES}.",
        )
    version = attributes.get("specversion")
    if version and version != SPECVERSION:
        raise Unreadable("bad_specversion", f'The attribute "specversion" must be "{SPECVERSION}".')
    missing = [name for name in _REQUIRED if name not in attributes]
    if missing:
        raise Unreadable(
            "missing_attribute",
            f"The event lacks {', '.join(missing)}; its producer must send every one of them.",
        )
    for name, value in attributes.items():
        if not value and name in CORE:
            raise Unreadable(
                "empty_attribute", f"The attribute {shown(name)} is empty; give it a value."
            )


def check_source(source: str) -> None:
    """Refuse ``source`` unless it is a URI reference.

    Raises:
        Unreadable: ``bad_attribute``.
    """
    if not uri.is_reference(source):
        raise _not_a_uri("source", "a URI reference", "urn:team:payments or /payments/billing")


def _check_schema(attributes: dict[str, str]) -> None:
    schema = attributes.get("dataschema")
    if schema is not None and not uri.is_absolute(schema):
        raise _not_a_uri("dataschema", "an absolute URI", "https://example.com/schema")


def _not_a_uri(name: str, what: str, example: str) -> Unreadable:
    return Unreadable(
        "bad_attribute",
        f"The attribute {shown(name)} is not {what} (RFC 3986), as in {example};"
        " percent-encode other characters, a space as %20.",
    )


def attributes_of(envelope: Envelope) -> dict[str, str]:
    """Return the attributes of ``envelope`` as text: the core ones, then extensions by name.

    Raises:
        ValueError: the envelope is not a valid CloudEvent; the message names the attribute.
    """
    if wrong := _NOT_EXTENSIONS.intersection(envelope.extensions):
        raise ValueError(f"{shown(min(wrong))} is not an extension; set the field of the envelope.")
    attributes: dict[str, str | None] = {
        "specversion": SPECVERSION,
        "id": envelope.id,
        "source": envelope.source,
        "type": envelope.type,
        "subject": envelope.subject,
        "time": None if envelope.time is None else write_time(envelope.time),
        "dataschema": envelope.dataschema,
    }
    for name in sorted(envelope.extensions):
        attributes[name] = envelope.extensions[name]
    present: dict[str, str] = {}
    try:
        for name, value in attributes.items():
            if value is not None:
                check_name(name)
                present[name] = check_text(name, value)
        _check(present)
    except Unreadable as error:
        raise ValueError(error.detail) from error
    return present


def write_time(time: datetime) -> str:
    """Return ``time`` as RFC 3339 in UTC.

    Raises:
        ValueError: it has no time zone, or is outside the years 0001 to 9999 in UTC.
    """
    if time.tzinfo is None:
        raise ValueError('The attribute "time" needs a time zone.')
    try:
        return format_time(time).replace(".000000Z", "Z")
    except OverflowError as error:
        raise ValueError('The attribute "time" is outside the years 0001 to 9999.') from error
