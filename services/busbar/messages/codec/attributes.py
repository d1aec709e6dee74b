"""Context attributes: one set of rules for every content mode, for reading and for writing.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md, sections "Type System" and
"Context Attributes". Nothing is repaired: a missing ``id`` is an error and never invented.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from busbar.kernel.clock import format_time
from busbar.messages.codec.json import shown
from busbar.messages.envelope import Envelope, Unreadable

SPECVERSION = "1.0"
DATA_TYPE = "application/json"

MAX_ATTRIBUTES = 64
MAX_NAME_CHARS = 20
MAX_VALUE_BYTES = 4096
_MAX_BYTES = {"id": 1024, "source": 1024, "type": 255}
SHORT = min(_MAX_BYTES.values())
"""A length in ASCII characters that every attribute may have."""

_REQUIRED = ("specversion", "id", "source", "type")
_ALL_REQUIRED = frozenset(_REQUIRED)
CORE = frozenset({*_REQUIRED, "subject", "time", "dataschema", "datacontenttype"})
_NOT_EXTENSIONS = CORE | {"data"}

_EXTENSION_NAME = re.compile(f"[a-z0-9]{{1,{MAX_NAME_CHARS}}}")
_SPACE = re.compile(r"\s")
_UNWANTED = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\ufdd0-\\ufdef"
    + "".join(f"\\U{plane:04x}fffe\\U{plane:04x}ffff" for plane in range(17))
    + "]"
)
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:(?P<second>[0-6][0-9])"
    r"(?:\.[0-9]+)?(?P<offset>[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?"
)
_USUAL_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z"
)
"""The form that is written here: it needs no further checks."""
_JSON_TYPE = re.compile(
    r"(?:application/json|[\w!#$&^.+-]+/[\w!#$&^.+-]+\+json)"
    r'[ \t]*(?:;[ \t]*charset=(?:utf-8|"utf-8"))?',
    re.ASCII | re.IGNORECASE,
)


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
            f"The extension name {shown(name)} must be 1 to 20 of a-z and 0-9, and not data.",
        )


def check_data_type(content_type: str | None) -> None:
    """Refuse data whose declared type is not JSON; without a declaration it is JSON.

    Raises:
        Unreadable: ``bad_content_type``.
    """
    if content_type is None or content_type == DATA_TYPE:
        return
    if not _JSON_TYPE.fullmatch(content_type):
        raise Unreadable(
            "bad_content_type",
            "The data's content type (datacontenttype) must be application/json or end in +json,"
            " with no parameter but charset=utf-8.",
        )


def read_time(value: str) -> datetime:
    """Return the RFC 3339 timestamp ``value`` in UTC, truncated to microseconds.

    Raises:
        Unreadable: ``bad_time``.
    """
    if not _USUAL_TIME.fullmatch(value):
        _check_time(value)
        value = value.upper()
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _bad_time("is not a calendar date of the years 0001 to 9999") from error


def _check_time(value: str) -> None:
    match = _TIME.fullmatch(value)
    if match is None:
        raise _bad_time("must look like 2026-01-31T12:00:00Z (RFC 3339)")
    if match["offset"] is None:
        raise _bad_time("needs an offset: append Z, or one like +01:00")
    if match["second"] >= "60":
        raise _bad_time("has second 60; send a leap second as the second before or after it")


def _bad_time(why: str) -> Unreadable:
    return Unreadable("bad_time", f'The attribute "time" {why}.')


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
    time = take("time", None)
    return Envelope(
        id=take("id"),
        source=take("source"),
        type=take("type"),
        subject=take("subject", None),
        time=None if time is None else read_time(time),
        dataschema=take("dataschema", None),
        extensions=attributes,
        data=data,
        body=body,
        key=key,
    )


def _check(attributes: dict[str, str]) -> None:
    """Check everything but the time, which :func:`read_time` checks."""
    _check_present(attributes)
    _check_uri(attributes, "source")
    _check_uri(attributes, "dataschema")


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


def _check_uri(attributes: dict[str, str], name: str) -> None:
    value = attributes.get(name)
    if value is None or (value.isprintable() and " " not in value):
        return  # the space is the only printable white space
    if _SPACE.search(value):
        raise Unreadable(
            "bad_attribute",
            f"The attribute {shown(name)} is not a URI: write its white space as %20.",
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
